"""An OpenTelemetry collector that keeps what it is sent."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.ports import free_port
from tests.harness.serving import serving


@dataclass(frozen=True)
class ToldSpan:
    """One span, and what is said of the program that it is of."""

    span: Span
    resource: dict[str, str]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def trace_id(self) -> str:
        return self.span.trace_id.hex()

    @property
    def service(self) -> str:
        return self.resource["service.name"]

    @property
    def attributes(self) -> dict[str, str | int]:
        return {
            each.key: each.value.string_value or each.value.int_value
            for each in self.span.attributes
        }


class Collector:
    """Takes OTLP over HTTP.

    Attributes:
        url: Where it is.
        requests: What it was sent.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[ExportTraceServiceRequest] = []

    async def receive(self, request: Request) -> Response:
        self.requests.append(ExportTraceServiceRequest.FromString(await request.body()))
        return Response(
            ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf"
        )

    @property
    def spans(self) -> list[ToldSpan]:
        return [
            ToldSpan(span, _texts(told.resource.attributes))
            for request in self.requests
            for told in request.resource_spans
            for scope in told.scope_spans
            for span in scope.spans
        ]


def _texts(attributes: Iterable[KeyValue]) -> dict[str, str]:
    return {each.key: each.value.string_value for each in attributes}


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """A collector on a real port, for as long as the block."""
    port = free_port()
    collector = Collector(f"http://127.0.0.1:{port}")
    app = Starlette(routes=[Route("/v1/traces", collector.receive, methods=["POST"])])
    async with serving({port: app}):
        yield collector
