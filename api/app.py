"""The API: `uvicorn --factory api.app:create_app`.

This is its composition root. It starts while Temporal, the database or Stripe is away, and
answers 503 until they are back.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from prometheus_client import CollectorRegistry
from prometheus_fastapi_instrumentator import Instrumentator
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from activities.access import Access
from activities.desk import Desk
from activities.mail_queue import MailQueue
from activities.messages import Messages
from activities.refunds import Refunder
from adapters import standard_webhooks
from adapters.carriers import tracking_reader
from adapters.download_folder import DownloadFolder
from adapters.stripe_api import open_stripe
from adapters.stripe_checkout import StripeCheckout
from adapters.stripe_storefront import StripeStorefront
from adapters.stripe_webhook import verify_event
from api import (
    answers,
    callbacks,
    carrier,
    codec,
    downloads,
    emails,
    entitlements,
    evidence,
    health,
    landing,
    licenses,
    live,
    messages,
    orders,
    pages,
    refunds,
    reversals,
    storefront,
    webhook,
)
from api.bodies import MAX_BODY_BYTES
from api.cors import PathCors
from api.events import handled_events
from api.headers import DefaultHeaders
from api.metrics import BusinessFigures
from api.request_log import RequestLog, name_session, route_of
from api.responses import UNAVAILABLE
from api.services import Services
from api.visits import PATH, TooManyVisitsError, VisitLimit
from connection import connect_by
from database.engine import Database
from domain.catalog import Catalog, CatalogError
from domain.entitlement_tokens import EntitlementTokens
from domain.errors import DataRefusedError, TransientError
from domain.events import StripeEvent
from domain.links import Links
from logs import log_to_stderr
from settings import Settings, load, require_webhook_secrets
from tracing import start_tracing
from workflows.catalog_file import read_catalog
from workflows.client import Fulfillments
from workflows.encryption import EncryptionCodec
from workflows.outbox import WorkflowOutbox

logger = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Makes the application; without settings it reads them from the environment."""
    if settings is None:
        settings = load(Settings)
        log_to_stderr(settings.log_format)
    require_webhook_secrets(settings)
    configured = settings
    catalog = _read_catalog(settings)
    signing_secrets = [secret.get_secret_value() for secret in settings.signing_secrets]

    registry = CollectorRegistry()
    tracing = start_tracing(settings, "checkout-fulfillment-api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = await connect_by(configured, interceptors=tracing.interceptors, lazy=True)
        async with (
            Database(
                configured.database_url.get_secret_value(), configured.database_pool_size
            ) as database,
            open_stripe(
                configured.stripe_api_key.get_secret_value(), api_base=configured.stripe_api_base
            ) as stripe,
        ):
            figures = BusinessFigures(database)
            registry.register(figures)
            outbox = WorkflowOutbox(client, configured.temporal_task_queue)
            fulfillments = Fulfillments(client, configured.temporal_task_queue)
            refunder = Refunder(outbox, catalog)
            app.state.services = Services(
                database=database,
                sessions=StripeCheckout(stripe),
                checkouts=StripeStorefront(stripe, catalog),
                fulfillments=fulfillments,
                verify_event=_verifier(configured),
                verify_callback=_standard_verifier(configured.app_webhook_secrets),
                verify_mail_event=_standard_verifier(configured.mail_webhook_secrets),
                read_tracking=tracking_reader(
                    configured.carrier,
                    [secret.get_secret_value() for secret in configured.carrier_webhook_secrets],
                ),
                access=Access(database, Messages(outbox, wanted=bool(configured.app_webhook_url))),
                entitlement_tokens=EntitlementTokens(configured.public_url, signing_secrets),
                app_token=configured.app_token.get_secret_value() if configured.app_token else None,
                codec=EncryptionCodec(configured.payload_keys),
                codec_token=configured.temporal_codec_token.get_secret_value()
                if configured.temporal_codec_token
                else None,
                outbox=outbox,
                desk=Desk(database, outbox, refunder, fulfillments, configured.public_url),
                mail_queue=MailQueue(outbox, configured.public_url),
                catalog=catalog,
                files=DownloadFolder(configured.downloads_folder),
                links=Links(configured.public_url, signing_secrets),
                branding=configured.branding,
                shop_language=configured.shop_language,
                embed_origins=configured.embed_origins,
                figures=figures,
                registry=registry,
                visits=VisitLimit(configured.visits_per_minute),
                public_url=configured.public_url,
                livemode=configured.livemode,
                operator_token=configured.operator_token.get_secret_value(),
                connect_accounts=configured.stripe_connect_accounts,
            )
            logger.info("events to send to this endpoint: %s", ", ".join(handled_events()))
            yield
        await asyncio.to_thread(tracing.close)

    # The documentation pages bring their own scripts, so they work without the internet.
    app = FastAPIOffline(
        title="Order fulfillment for Stripe Checkout",
        summary="Every paid Checkout Session is fulfilled exactly once.",
        lifespan=lifespan,
        redoc_url=None,
        dependencies=[Depends(name_session)],
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.draining = False
    for part in (
        webhook,
        landing,
        live,
        pages,
        answers,
        storefront,
        orders,
        reversals,
        refunds,
        evidence,
        emails,
        downloads,
        entitlements,
        licenses,
        messages,
        callbacks,
        health,
    ):
        app.include_router(part.router, responses=UNAVAILABLE)
    if configured.carrier_webhook_secrets:
        app.include_router(carrier.router)
    if configured.mail_webhook_secrets:
        app.include_router(emails.webhook_router)
    if configured.embed_origins:
        app.add_middleware(
            PathCors, path=live.JSON_PATH, origins=configured.embed_origins, methods=["GET"]
        )
    if configured.temporal_codec_token is not None:
        app.include_router(codec.router)
        app.add_middleware(
            PathCors,
            path=f"{codec.PATH}/",
            origins=[configured.temporal_ui_origin] if configured.temporal_ui_origin else [],
            methods=["POST"],
            headers=["Authorization", "Content-Type", "X-Namespace"],
        )
    if configured.catalog_file is not None:
        app.include_router(storefront.checkout_router)
        app.add_middleware(
            PathCors,
            path=storefront.CHECKOUT_PATH,
            origins=catalog.checkout.origins,
            methods=["POST"],
            headers=["Idempotency-Key"],
        )
    # By route, never by path: those hold session IDs and tokens.
    Instrumentator(
        excluded_handlers=["/metrics", "/healthz", "/readyz", "/static", f"{PATH}/events"],
        registry=registry,
    ).instrument(app)
    app.add_middleware(DefaultHeaders)
    app.add_middleware(RequestLog)
    tracing.watch(app)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")
    app.add_exception_handler(TransientError, _unavailable)
    app.add_exception_handler(DataRefusedError, _unstorable)
    app.add_exception_handler(TooManyVisitsError, _too_many)
    return app


def _read_catalog(settings: Settings) -> Catalog:
    try:
        return read_catalog(settings.catalog_file)
    except CatalogError as error:
        sys.exit(f"CATALOG_FILE: {error.message}")


def _verifier(settings: Settings) -> Callable[[bytes, str | None], StripeEvent]:
    secrets = [secret.get_secret_value() for secret in settings.stripe_webhook_secrets]

    def verify(body: bytes, signature: str | None) -> StripeEvent:
        return verify_event(body, signature, secrets)

    return verify


def _standard_verifier(
    secrets: Iterable[SecretStr],
) -> Callable[[bytes, Mapping[str, str]], None]:
    plain = [secret.get_secret_value() for secret in secrets]

    def verify(body: bytes, headers: Mapping[str, str]) -> None:
        standard_webhooks.verify(body, headers, plain)

    return verify


async def _too_many(request: Request, _error: Exception) -> Response:
    retry = {"Retry-After": str(pages.TOO_MANY_S)}
    if request.method != "GET" or request.url.path.endswith(".json"):
        response: Response = JSONResponse({"error": "too many requests"}, 429, retry)
    else:
        response = pages.page(request, "too_many", status=429)
        response.headers.update(retry)
    return response


async def _unstorable(_request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, status_code=422)


async def _unavailable(request: Request, error: Exception) -> Response:
    logger.error("%s is answered 503: %s", route_of(request.scope), error)
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        return pages.page(request, "unavailable", status=503, refresh_s=pages.REFRESH_S)
    return JSONResponse(
        {"error": str(error)}, status_code=503, headers={"Retry-After": str(webhook.RETRY_AFTER_S)}
    )
