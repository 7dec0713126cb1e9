"""How every program of ours reaches Temporal: by its settings, in this one place."""

from collections.abc import Sequence

from temporalio.client import Client, Interceptor

from settings import Settings
from workflows.client import connect


async def connect_by(
    settings: Settings,
    *,
    interceptors: Sequence[Interceptor] = (),
    lazy: bool = False,
    metrics_address: str = "",
) -> Client:
    """A client of the server that the settings name; see `workflows.client.connect`."""
    return await connect(
        settings.temporal_address,
        settings.temporal_namespace,
        access=settings.temporal_access,
        payload_keys=settings.payload_keys,
        interceptors=interceptors,
        lazy=lazy,
        metrics_address=metrics_address,
    )
