"""Files that customers download: their names, and which part of one a request asks for."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

MAX_NAME_LENGTH = 200
MOST_FILES = 100
"""Of one product."""
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


class RangeUnsatisfiableError(Exception):
    """A request for a part of a file that the file does not have."""


@dataclass(frozen=True)
class DownloadFile:
    """A file that is there."""

    path: Path
    stat: os.stat_result

    @property
    def size(self) -> int:
        """In bytes."""
        return self.stat.st_size


class Part(NamedTuple):
    """A part of a file: its first byte, counted from 0, and how many there are."""

    start: int
    length: int


def split_files(value: str) -> tuple[str, ...]:
    """The files of a comma-separated list.

    Raises:
        ValueError: There is none, there are too many, or one has a name that no file of ours has.
    """
    names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
    if len(names) > MOST_FILES:
        raise ValueError(f"names more than {MOST_FILES} files")
    for name in names:
        if not _is_file_name(name):
            raise ValueError(f"{name!r} is no path below DOWNLOADS_FOLDER")
    return names


def _is_file_name(name: str) -> bool:
    is_plain = name.isprintable() and "\\" not in name and len(name) <= MAX_NAME_LENGTH
    return is_plain and not {"", ".", ".."} & set(name.split("/"))


def requested_part(header: str, size: int) -> Part | None:
    """The part that a header `Range` asks for; None for the whole file.

    Several ranges at once, and what is none, are as good as no header.
    Source: RFC 9110, "Range Requests".

    Raises:
        RangeUnsatisfiableError: It begins behind the file's end.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or size == 0:
        return None
    first, last = match.groups()
    if not first:
        return _last_bytes(int(last), size) if last else None
    start = int(first)
    if start >= size:
        raise RangeUnsatisfiableError
    end = min(int(last), size - 1) if last else size - 1
    return Part(start, end - start + 1) if start <= end else None


def _last_bytes(count: int, size: int) -> Part:
    if count == 0:
        raise RangeUnsatisfiableError
    length = min(count, size)
    return Part(size - length, length)
