"""A carrier that is reached over HTTP; its contract is in docs/carrier.md."""

from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from adapters.http_errors import error_for_status
from domain.errors import AddressRefusedError, PermanentError, TransientError
from domain.shipping import BookedShipment, Rate, ShipmentRequest

VENDOR = "carrier"
TIMEOUT_S = 10.0
IDEMPOTENCY_CONFLICT = "idempotency_conflict"
"""The carrier's code for a known key with another body; other 409s pass by themselves."""
INVALID_ADDRESS = "invalid_address"
"""The carrier's code for an address that it cannot bring anything to."""

_Model = TypeVar("_Model", bound=BaseModel)


class _Error(BaseModel):
    code: str


class _ErrorBody(BaseModel):
    error: _Error


class _Shipments(BaseModel):
    shipments: list[BookedShipment]


class _Rates(BaseModel):
    rates: tuple[Rate, ...]


class _Cancellation(BaseModel):
    canceled: bool


class HttpCarrier:
    """Books parcels with `POST /shipments`, looks them up with `GET /shipments?reference=`.

    `POST /rates` asks for prices.

    Args:
        base_url: The carrier's address.
        api_key: Sent as a bearer token, where the carrier asks for one.
        timeout_s: How long one answer may take.
    """

    def __init__(
        self, base_url: str, api_key: str | None = None, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url,
            timeout=timeout_s,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def find(self, reference: str) -> BookedShipment | None:
        """See `activities.ports.Carrier`."""
        answer = await self._send("GET", "/shipments", params={"reference": reference})
        found = _parsed(_Shipments, answer).shipments
        return found[0] if found else None

    async def quote(self, request: ShipmentRequest) -> tuple[Rate, ...]:
        """See `activities.ports.Carrier`."""
        answer = await self._send("POST", "/rates", json=_described(request))
        return _parsed(_Rates, answer).rates

    async def book(self, request: ShipmentRequest, rate: Rate | None) -> BookedShipment:
        """See `activities.ports.Carrier`."""
        answer = await self._send(
            "POST",
            "/shipments",
            headers={"Idempotency-Key": request.reference},
            json={**_described(request), "rate_id": rate.id if rate else None},
        )
        return _parsed(BookedShipment, answer)

    async def cancel(self, shipment_id: str) -> bool:
        """See `activities.ports.Carrier`."""
        answer = await self._send("POST", f"/shipments/{quote(shipment_id, safe='')}/cancel")
        return _parsed(_Cancellation, answer).canceled

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
        if problem and problem.code == INVALID_ADDRESS:
            raise AddressRefusedError(f"{VENDOR} does not know the address")
        raise error_for_status(
            VENDOR, answer.status_code, detail, answer.headers.get("Retry-After")
        )


def _described(request: ShipmentRequest) -> dict[str, Any]:
    return {
        "reference": request.reference,
        "to": request.to.model_dump(),
        "phone": request.phone,
        "from": request.from_address.model_dump() if request.from_address else None,
        "items": [item.model_dump() for item in request.items],
    }


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
