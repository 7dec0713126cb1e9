"""Begins the traces of a program, where its settings name a collector."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from temporalio.client import Interceptor

from settings import Settings, share_otel

if TYPE_CHECKING:
    from fastapi import FastAPI

    from adapters.open_telemetry import Tracing


class Untraced:
    """Stands in for `Tracing` where there are no traces: it does nothing."""

    interceptors: Sequence[Interceptor] = ()

    def watch(self, app: "FastAPI") -> None:
        """See `Tracing`."""

    def close(self) -> None:
        """See `Tracing`."""


def start_tracing(settings: Settings, service: str) -> "Tracing | Untraced":
    """Traces a program from now on; call it once, in a composition root.

    Args:
        settings: Where the collector and the partners are.
        service: The program's name.
    """
    if not settings.traces_url:
        return Untraced()
    share_otel()
    # Not above: it takes half a second, which only those wait for who want it.
    from adapters.open_telemetry import Tracing  # noqa: PLC0415

    partners = [settings.carrier_url, settings.app_webhook_url]
    return Tracing(settings.traces_url, service, partners=partners)
