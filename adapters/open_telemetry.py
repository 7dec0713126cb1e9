"""Traces of what a program does, sent to an OpenTelemetry collector.

One trace leads from Stripe's webhook through the workflow and its activities to the carrier's
answer.

Temporal's older interceptor is used on purpose. The newer one, which Temporal calls experimental,
tells of a workflow when it ends, and ours wait for days: until then the rest of the trace would
hang in the air. This one tells moments, as they pass. Nor does it need a tracer provider that is
the whole process's.

Source: the README of temporalio.contrib.opentelemetry.
"""

import threading
from collections.abc import Iterable, Sequence

import httpx
from fastapi import FastAPI
from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.propagators.textmap import CarrierT, Setter, default_setter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, Status
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes
from temporalio.contrib.opentelemetry import TracingInterceptor

TOLD = frozenset(
    {
        "error.type",
        "exception.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "network.protocol.version",
        "server.address",
        "server.port",
        "temporalActivityID",
        "temporalRunID",
        "temporalUpdateID",
        "temporalWorkflowID",
        "url.scheme",
    }
)
"""Attributes that leave the process. Others hold URLs with tokens in them, visitors' addresses,
or the words of exceptions, which quote what customers have typed."""
UNTRACED = "/(healthz|readyz|metrics|after-checkout/events)$,/static/"
"""URLs of probes, of files, and of pages that listen for minutes."""
FLUSH_S = 5.0
"""How long a program that ends waits for a collector that does not answer."""


class Tracing:
    """The traces of one program.

    OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_… and the other
    OTEL_EXPORTER_OTLP_… mean what OpenTelemetry's specification says.

    Args:
        url: Where spans are sent, as OTLP over HTTP.
        service: The program's name, where the environment gives none.
        partners: URLs of those who are told the trace that a request belongs to.

    Attributes:
        interceptors: Of Temporal's client, and of the workers that use it.
    """

    def __init__(self, url: str, service: str, *, partners: Iterable[str]) -> None:
        named = Resource.create({"service.name": service}).merge(OTELResourceDetector().detect())
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_Reticent(OTLPSpanExporter(url))))
        self.interceptors = [TracingInterceptor(self._provider.get_tracer(__name__))]
        propagate.set_global_textmap(_ToPartners(partners))
        HTTPXClientInstrumentor().instrument(tracer_provider=self._provider)

    def watch(self, app: FastAPI) -> None:
        """Traces the requests that an application answers."""
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self._provider,
            excluded_urls=UNTRACED,
            exclude_spans=["receive", "send"],
        )

    def close(self) -> None:
        """Sends what has not been sent, for as long as `FLUSH_S`."""
        sending = threading.Thread(target=self._provider.shutdown, daemon=True)
        sending.start()
        sending.join(FLUSH_S)


class _ToPartners(TraceContextTextMapPropagator):
    """Goes on with the trace of whoever calls, and tells it to partners only.

    Baggage, which callers could fill with anything, is neither taken nor told.
    """

    def __init__(self, partners: Iterable[str]) -> None:
        self._hosts = {httpx.URL(url).netloc.decode() for url in partners if url}

    def inject(
        self,
        carrier: CarrierT,
        context: Context | None = None,
        setter: Setter[CarrierT] = default_setter,
    ) -> None:
        """Writes the trace into a request's headers, where it goes to a partner."""
        if isinstance(carrier, httpx.Headers) and carrier.get("Host") in self._hosts:
            super().inject(carrier, context, setter)


class _Reticent(SpanExporter):
    """Passes spans on with the attributes of `TOLD`."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_reticent(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _reticent(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=_told(span.attributes),
        events=[Event(each.name, _told(each.attributes), each.timestamp) for each in span.events],
        links=[Link(each.context) for each in span.links],
        kind=span.kind,
        # Without its description, the exception's words.
        status=Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _told(attributes: Attributes) -> Attributes:
    return {name: value for name, value in (attributes or {}).items() if name in TOLD}
