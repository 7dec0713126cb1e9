"""The carrier's HTTP interface and pages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from local.carrier.courier import Callbacks, Courier, courier
from local.carrier.depot import (
    CARRIER_NAME,
    SERVICES,
    CarrierRefusalError,
    Depot,
    Scan,
    Shipment,
    ShipmentRequest,
    Status,
)
from local.faults import Faults
from local.web import pages

router = APIRouter()


class CarrierFaults(Faults):
    """Failures of POST /shipments; look-ups always work."""

    after_booking: bool = False
    """Book first, then fail: the sender never sees the answer."""


def _depot(request: Request) -> Depot:
    depot: Depot = request.app.state.depot
    return depot


def _faults(request: Request) -> CarrierFaults:
    faults: CarrierFaults = request.app.state.faults
    return faults


def _courier(request: Request) -> Courier | None:
    courier: Courier | None = request.app.state.courier
    return courier


TheDepot = Annotated[Depot, Depends(_depot)]
TheCourier = Annotated[Courier | None, Depends(_courier)]
TheFaults = Annotated[CarrierFaults, Depends(_faults)]


@router.post("/shipments", status_code=201)
async def book(
    body: ShipmentRequest,
    request: Request,
    idempotency_key: Annotated[str, Header()],
    depot: TheDepot,
    faults: TheFaults,
) -> Response:
    """Books a shipment, once per idempotency key."""
    await faults.delay()
    if not faults.after_booking and (status := faults.take()):
        return _error(status, "fault", "told to fail")
    shipment, replayed = depot.book(idempotency_key, body)
    if faults.after_booking and (status := faults.take()):
        return _error(status, "fault", "told to fail after booking")
    return JSONResponse(
        shipment.answer(str(request.base_url)),
        status_code=200 if replayed else 201,
        headers={"Idempotent-Replayed": "true"} if replayed else None,
    )


@router.post("/rates")
async def rates(body: ShipmentRequest, depot: TheDepot) -> dict[str, list[dict[str, Any]]]:
    """What each service would cost; nothing is booked."""
    depot.check(body)
    return {"rates": [service.rate(body.weight_grams) for service in SERVICES]}


@router.get("/shipments")
async def look_up(
    request: Request, depot: TheDepot, reference: str | None = None
) -> dict[str, list[dict[str, Any]]]:
    """All shipments, or those with the reference: to ask before repeating."""
    base = str(request.base_url)
    return {
        "shipments": [
            {
                **shipment.record(base),
                "canceled": depot.is_canceled(shipment),
                "replays": depot.replays(shipment),
            }
            for shipment in depot.shipments(reference)
        ]
    }


@router.post("/shipments/{shipment_id}/cancel")
async def cancel(shipment_id: str, depot: TheDepot) -> dict[str, bool]:
    """Cancels a parcel that has not left the sender."""
    shipment = depot.by_id(shipment_id)
    if shipment is None:
        raise CarrierRefusalError(404, "unknown_shipment", "there is no such parcel")
    return {"canceled": depot.cancel(shipment)}


@router.post("/shipments/{shipment_id}/advance")
async def advance(
    shipment_id: str, depot: TheDepot, courier: TheCourier, status: Status | None = None
) -> Scan:
    """Moves a parcel by hand, and tells the sender at once."""
    return await _move(depot.by_id(shipment_id), status, depot, courier)


async def _move(
    shipment: Shipment | None, status: Status | None, depot: Depot, courier: Courier | None
) -> Scan:
    if shipment is None:
        raise CarrierRefusalError(404, "unknown_shipment", "there is no such parcel")
    scan = depot.scan(shipment, status)
    if courier is not None:
        await courier.tell()
    return scan


@router.get("/label/{number}", response_class=HTMLResponse)
async def label(request: Request, number: str, depot: TheDepot) -> Response:
    """What is stuck on one parcel."""
    shipment = depot.by_tracking_number(number)
    return pages.TemplateResponse(
        request,
        "label.html",
        {"shipment": shipment, "number": number},
        status_code=200 if shipment else 404,
    )


@router.get("/track/{number}", response_class=HTMLResponse)
async def track(request: Request, number: str, depot: TheDepot) -> Response:
    """The page of one parcel."""
    shipment = depot.by_tracking_number(number)
    return pages.TemplateResponse(
        request,
        "parcel.html",
        {
            "shipment": shipment,
            "number": number,
            "scans": depot.scans(shipment) if shipment else [],
            "statuses": tuple(Status),
        },
        status_code=200 if shipment else 404,
    )


@router.post("/track/{number}")
async def move(number: str, status: Status, depot: TheDepot, courier: TheCourier) -> Response:
    """A button of that page: moves the parcel."""
    await _move(depot.by_tracking_number(number), status, depot, courier)
    return RedirectResponse(f"/track/{number}", status_code=303)


@router.get("/", response_class=HTMLResponse)
async def overview(request: Request, depot: TheDepot) -> Response:
    """The page of all parcels, newest first."""
    return pages.TemplateResponse(request, "parcels.html", {"shipments": depot.shipments()[::-1]})


@router.post("/faults")
async def set_faults(request: Request, faults: CarrierFaults) -> CarrierFaults:
    """Replaces what goes wrong."""
    request.app.state.faults = faults
    return faults


@router.delete("/faults", status_code=204)
async def clear_faults(request: Request) -> None:
    """Lets nothing go wrong any more."""
    request.app.state.faults = CarrierFaults()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Answers when the carrier does."""
    return {}


def create_app(file: Path, callbacks: Callbacks | None = None) -> FastAPI:
    """The carrier as a web application, with its books in the file.

    Args:
        file: Where the books are.
        callbacks: Where the sender wants to hear of its parcels.
    """
    depot = Depot(file)

    @asynccontextmanager
    async def at_work(app: FastAPI) -> AsyncIterator[None]:
        async with courier(depot, callbacks) as app.state.courier:
            yield
        depot.close()

    app = FastAPI(title=CARRIER_NAME, lifespan=at_work)
    app.state.depot = depot
    app.state.faults = CarrierFaults()
    app.include_router(router)

    @app.exception_handler(CarrierRefusalError)
    def refuse(_: Request, error: CarrierRefusalError) -> JSONResponse:
        return _error(error.status, error.code, str(error))

    @app.exception_handler(RequestValidationError)
    def refuse_malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return _error(422, "invalid_request", "; ".join(problems))

    return app


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)
