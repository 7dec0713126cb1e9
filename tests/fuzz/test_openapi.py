"""Whatever is sent to the API, it answers as its own OpenAPI description says, and never by 5xx.

Each operation is sent what fits its description and what does not, by each caller, about an order
that exists and about others. `make explore` sends a hundred times as much, anew each time.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import requests
import schemathesis
from hypothesis import given
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from domain.orders import OrderState
from tests.fuzz.drawn import drawn
from tests.harness.shop import ACCESS, shipment
from tests.harness.world import APP_TOKEN, OPERATOR_TOKEN, World

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]
CALLERS: dict[str, dict[str, str]] = {
    "an operator": {"Authorization": f"Bearer {OPERATOR_TOKEN}"},
    "the merchant's application": {"Authorization": f"Bearer {APP_TOKEN}"},
    "anybody": {},
}


def _wrong_answers(url: str, document: dict[str, Any], session_id: str) -> Iterator[str]:
    """Sends requests to every operation; yields what is answered otherwise than described."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    with requests.Session() as http:
        for found in schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            orders = [None, session_id] if "{session_id}" in operation.path else [None]
            for caller, headers in CALLERS.items():
                for mode in GenerationMode:
                    for order in orders:
                        about = {"session_id": order} if order else None
                        cases = operation.as_strategy(generation_mode=mode, path_parameters=about)
                        try:
                            _send(cases, http, headers)
                        except Unsatisfiable:
                            pass  # Nothing can be sent that does not fit its description.
                        except BaseExceptionGroup as failures:
                            yield f"{operation.label}, by {caller}: {failures}"


def _send(cases: Any, http: requests.Session, headers: dict[str, str]) -> None:
    @drawn(3, 40)
    @given(case=cases)
    def send(case: Any) -> None:
        case.call_and_validate(session=http, headers=headers, checks=CHECKS, timeout=20)

    send()


async def test_every_answer_is_a_described_one(world: World) -> None:
    document = (await world.api.get("/openapi.json")).json()
    async with world.worker():
        session_id = await world.shop.buy(ACCESS, shipment(await world.new_sku()))
        assert (await world.result(session_id)).state is OrderState.FULFILLED
    url = world.settings.public_url
    wrong = await asyncio.to_thread(lambda: list(_wrong_answers(url, document, session_id)))
    assert not wrong, "\n\n".join(wrong)
