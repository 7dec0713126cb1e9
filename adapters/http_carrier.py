"""A carrier that is reached over HTTP; its contract is in docs/carrier.md."""

from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from adapters.http_errors import error_for_status
from domain.errors import PermanentError, TransientError
from domain.shipping import BookedShipment, ShipmentRequest

VENDOR = "carrier"
TIMEOUT_S = 10.0
IDEMPOTENCY_CONFLICT = "idempotency_conflict"
"""The carrier's code for a known key with another body; other 409s pass by themselves."""

_Model = TypeVar("_Model", bound=BaseModel)


class _Error(BaseModel):
    code: str


class _ErrorBody(BaseModel):
    error: _Error


class _Shipments(BaseModel):
    shipments: list[BookedShipment]


class HttpCarrier:
    """Books parcels with `POST /shipments`, looks them up with `GET /shipments?reference=`.

    Args:
        base_url: The carrier's address.
    """

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=TIMEOUT_S)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def find(self, reference: str) -> BookedShipment | None:
        """See `activities.ports.Carrier`."""
        answer = await self._send("GET", "/shipments", params={"reference": reference})
        found = _parsed(_Shipments, answer).shipments
        return found[0] if found else None

    async def book(self, request: ShipmentRequest) -> BookedShipment:
        """See `activities.ports.Carrier`."""
        answer = await self._send(
            "POST",
            "/shipments",
            headers={"Idempotency-Key": request.reference},
            json={
                "reference": request.reference,
                "to": request.to.model_dump(),
                "items": [
                    {
                        "sku": request.sku,
                        "quantity": request.quantity,
                        "weight_grams": request.weight_grams,
                    }
                ],
            },
        )
        return _parsed(BookedShipment, answer)

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:  # noqa: ANN401 - passed on to httpx
        try:
            answer = await self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise TransientError(
                f"{VENDOR}_unavailable", f"{VENDOR}: {type(error).__name__}"
            ) from error
        if answer.is_success:
            return answer
        problem = _problem(answer)
        # The carrier's sentence stays out: it may quote the customer's address.
        detail = problem.code if problem else answer.reason_phrase
        if problem and problem.code == IDEMPOTENCY_CONFLICT:
            raise PermanentError(f"{VENDOR}_{problem.code}", f"{VENDOR} refused: {detail}")
        raise error_for_status(
            VENDOR, answer.status_code, detail, answer.headers.get("Retry-After")
        )


def _parsed(kind: type[_Model], answer: httpx.Response) -> _Model:
    try:
        return kind.model_validate_json(answer.content)
    except ValidationError as error:
        # It may have booked: the next try looks the parcel up.
        raise TransientError(
            f"{VENDOR}_unreadable", f"{VENDOR} answered {answer.status_code} in an unknown form"
        ) from error


def _problem(answer: httpx.Response) -> _Error | None:
    try:
        return _ErrorBody.model_validate_json(answer.content).error
    except ValidationError:
        return None
