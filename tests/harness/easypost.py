"""A stand-in for EasyPost: as much of its API as the adapter calls, on a real port.

Shapes and codes are those of EasyPost's API documentation and of the answers recorded in its
SDK's tests. References are not unique there, nor here: the newest shipment of one is answered.
"""

import hashlib
import hmac
import json
import secrets
from datetime import UTC, datetime
from typing import Any

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

API_KEY = "EZTK_the_tests_own_key"
UNKNOWN_POSTAL_CODE = "00000"
SERVICES = {"GroundAdvantage": ("6.07", 3), "Priority": ("7.42", 2), "Express": ("34.15", 1)}


_NOT_FOUND = {
    "code": "E.ADDRESS.NOT_FOUND",
    "field": "address",
    "message": "Address not found",
    "suggestion": None,
}


class _RefusalError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class EasyPostStandIn:
    """What it knows; `app` serves it."""

    def __init__(self) -> None:
        self.addresses: dict[str, dict[str, Any]] = {}
        self.shipments: list[dict[str, Any]] = []
        self.app = _make_app(self)

    @property
    def bought(self) -> list[dict[str, Any]]:
        return [shipment for shipment in self.shipments if shipment["selected_rate"]]

    def address(self, given: dict[str, Any], *, verify: bool) -> dict[str, Any]:
        if "id" in given:
            return self.addresses[given["id"]]
        names = ("name", "street1", "street2", "city", "state", "zip", "country", "phone")
        found = given.get("zip") != UNKNOWN_POSTAL_CODE
        address: dict[str, Any] = {"id": _id("adr"), "object": "Address", "verifications": {}}
        for name in names:
            # Verified, as the real one does: corrected spelling, nothing as an empty text.
            address[name] = (given.get(name) or "").upper() if verify and found else given.get(name)
        if verify:
            errors = [] if found else [_NOT_FOUND]
            address["verifications"] = {"delivery": {"success": found, "errors": errors}}
        self.addresses[address["id"]] = address
        return address

    def shipment(self, name: str) -> dict[str, Any]:
        found: dict[str, Any]
        for found in reversed(self.shipments):
            if name in {found["id"], found["reference"]}:
                return found
        raise _RefusalError(404, "NOT_FOUND", "The requested resource could not be found.")

    def create(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["parcel"]["weight"] <= 0:
            raise _RefusalError(422, "PARCEL.WEIGHT.INVALID", "weight must be greater than 0")
        shipment: dict[str, Any] = {
            "id": _id("shp"),
            "object": "Shipment",
            "reference": given["reference"],
            "to_address": self.address(given["to_address"], verify=False),
            "from_address": self.address(given["from_address"], verify=False),
            "parcel": {"id": _id("prcl"), "object": "Parcel", **given["parcel"]},
            "selected_rate": None,
            "tracking_code": None,
            "postage_label": None,
            "tracker": None,
            "messages": [],
            "refund_status": None,
        }
        shipment["rates"] = _rates(shipment["id"])
        self.shipments.append(shipment)
        return shipment

    def buy(self, shipment: dict[str, Any], rate_id: str) -> dict[str, Any]:
        if shipment["selected_rate"]:
            raise _RefusalError(422, "SHIPMENT.POSTAGE.EXISTS", "Postage already exists.")
        rates = {rate["id"]: rate for rate in shipment["rates"]}
        if rate_id not in rates:
            raise _RefusalError(404, "NOT_FOUND", "The requested resource could not be found.")
        code = f"9400{secrets.randbelow(10**18):018}"
        shipment |= {
            "selected_rate": rates[rate_id],
            "tracking_code": code,
            "postage_label": {
                "id": _id("pl"),
                "object": "PostageLabel",
                "label_url": f"https://labels.example/{shipment['id']}.png",
            },
            "tracker": tracker(shipment["id"], code, "unknown"),
        }
        return shipment

    def refund(self, shipment: dict[str, Any]) -> dict[str, Any]:
        if not shipment["tracker"] or shipment["tracker"]["status"] != "unknown":
            raise _RefusalError(422, "SHIPMENT.REFUND.UNAVAILABLE", "Refund unavailable.")
        shipment["refund_status"] = "submitted"
        return shipment


def tracker(shipment_id: str, code: str, status: str, at: datetime | None = None) -> dict[str, Any]:
    """EasyPost's object of that name."""
    return {
        "id": _id("trk"),
        "object": "Tracker",
        "mode": "test",
        "tracking_code": code,
        "status": status,
        "status_detail": "arrived_at_facility" if status == "in_transit" else status,
        "updated_at": (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "shipment_id": shipment_id,
        "carrier": "USPS",
        "tracking_details": [],
        "public_url": f"https://track.example/{code}",
    }


def event(result: dict[str, Any], description: str = "tracker.updated") -> bytes:
    """The body of a webhook of EasyPost's."""
    return json.dumps(
        {
            "id": f"evt_{secrets.token_hex(16)}",
            "object": "Event",
            "mode": "test",
            "description": description,
            "previous_attributes": {},
            "result": result,
            "status": "pending",
        }
    ).encode()


def signed(body: bytes, secret: str) -> dict[str, str]:
    """The headers with which EasyPost signs a webhook."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hmac-Signature": f"hmac-sha256-hex={digest}"}


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(16)}"


def _rates(shipment_id: str) -> list[dict[str, Any]]:
    return [
        {
            "id": _id("rate"),
            "object": "Rate",
            "carrier": "USPS",
            "service": service,
            "rate": price,
            "currency": "USD",
            "delivery_days": days,
            "shipment_id": shipment_id,
        }
        for service, (price, days) in SERVICES.items()
    ]


def _make_app(stand_in: EasyPostStandIn) -> FastAPI:  # noqa: C901 - one function a call
    def let_in(request: Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {API_KEY}":
            raise HTTPException(401)

    app = FastAPI(dependencies=[Depends(let_in)])

    @app.exception_handler(_RefusalError)
    def refuse(_: Request, error: _RefusalError) -> JSONResponse:
        body = {"error": {"code": error.code, "message": str(error), "errors": []}}
        return JSONResponse(body, status_code=error.status)

    @app.exception_handler(HTTPException)
    def forbid(_: Request, error: HTTPException) -> JSONResponse:
        body = {"error": {"code": "APIKEY.INACTIVE", "message": "no such key", "errors": []}}
        return JSONResponse(body, status_code=error.status_code)

    @app.post("/v2/addresses", status_code=201)
    async def create_address(body: dict[str, Any]) -> dict[str, Any]:
        return stand_in.address(body["address"], verify="verify" in body)

    @app.post("/v2/shipments", status_code=201)
    async def create_shipment(body: dict[str, Any]) -> dict[str, Any]:
        return stand_in.create(body["shipment"])

    @app.get("/v2/shipments/{name}")
    async def retrieve_shipment(name: str) -> dict[str, Any]:
        return stand_in.shipment(name)

    @app.post("/v2/shipments/{name}/rerate")
    async def regenerate_rates(name: str) -> dict[str, Any]:
        shipment = stand_in.shipment(name)
        shipment["rates"] = _rates(shipment["id"])
        return {"rates": shipment["rates"]}

    @app.post("/v2/shipments/{name}/refund")
    async def refund_shipment(name: str) -> dict[str, Any]:
        return stand_in.refund(stand_in.shipment(name))

    @app.post("/v2/shipments/{name}/buy")
    async def buy_shipment(name: str, body: dict[str, Any]) -> dict[str, Any]:
        return stand_in.buy(stand_in.shipment(name), body["rate"]["id"])

    return app
