"""Passes bytes on, as whatever stands before a server does."""

import asyncio
from contextlib import suppress


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, noted: bytearray | None = None
) -> None:
    """Passes on what one side sends until it ends, and notes it."""
    with suppress(OSError):
        while part := await reader.read(65536):
            if noted is not None:
                noted += part
            writer.write(part)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        writer.close()
