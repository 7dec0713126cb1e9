"""`/healthz`, `/readyz` and `/metrics`, for what runs and watches the API."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.services import ServicesOf
from database.revisions import is_behind, newest_revision
from domain.errors import FulfillmentError

router = APIRouter(tags=["Health"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A part is missing; the body says which"}})
async def readyz(request: Request, services: ServicesOf) -> JSONResponse:
    """Whether the database has the needed schema, Temporal takes calls, and this goes on."""
    problems = {"process": "is about to stop"} if request.app.state.draining else {}
    try:
        revision = await services.database.revision()
        if is_behind(revision):
            problems["database"] = f"at revision {revision}, needed is {newest_revision()}"
    except FulfillmentError as error:
        problems["database"] = error.message
    try:
        await services.fulfillments.check()
    except FulfillmentError as error:
        problems["temporal"] = error.message
    status = 503 if problems else 200
    return JSONResponse({"status": "unready" if problems else "ok", **problems}, status)


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(services: ServicesOf) -> Response:
    """This process, and how the business stands, in Prometheus' text format."""
    await services.figures.refresh()
    text = generate_latest() + generate_latest(services.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
