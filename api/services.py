"""What the routes work with; `api.app` assembles it once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry

from activities.access import Access
from activities.desk import Desk
from activities.mail_queue import MailQueue
from activities.ports import CheckoutSessions, Downloadable
from api.metrics import BusinessFigures
from api.visits import VisitLimit
from database.engine import Database
from domain.catalog import Catalog
from domain.entitlement_tokens import EntitlementTokens
from domain.events import StripeEvent
from domain.ids import ALL_ACCOUNTS
from domain.links import Links
from domain.mail import Branding
from domain.shipping import TrackingUpdate
from domain.storefront import Checkouts
from workflows.client import Fulfillments
from workflows.encryption import EncryptionCodec
from workflows.outbox import WorkflowOutbox


@dataclass(frozen=True)
class Services:
    """Everything outside that a route may use.

    Attributes:
        checkouts: Opens Checkout Sessions.
        verify_event: Verifies a webhook's body against its signature header, and reads it.
        verify_callback: Verifies what the merchant's own service calls back with, by its headers;
            raises `InvalidWebhookError`.
        verify_mail_event: As `verify_callback`, for what the mail provider tells.
        read_tracking: Verifies and reads what the carrier tells; None of what we need not know;
            raises `InvalidWebhookError`.
        access: Revokes entitlements.
        entitlement_tokens: Signs the answers to entitlement checks.
        app_token: The bearer token of the merchant's application; None where there is none.
        codec: Encrypts and decrypts what Temporal keeps.
        codec_token: Of those who may ask for that; None: nobody.
        outbox: Has sent what is recorded as to be sent.
        desk: Does to an order what operators ask for.
        mail_queue: Takes mails.
        catalog: What `POST /checkout` sells.
        files: What the kind `download` hands out.
        links: Makes and reads the links that customers get.
        branding: What pages show of the shop.
        shop_language: Of pages for customers whose own language is not known.
        embed_origins: The merchant's sites that may show the order's page in their own.
        figures: How the business stands, for those who watch it.
        registry: What is measured of this application; other metrics are the process's.
        visits: Counts how often an address asks for pages of orders.
        public_url: Where customers reach this service.
        livemode: Whether this deployment works on real money.
        operator_token: The bearer token of the operator API.
        connect_accounts: The connected accounts whose sessions are ours too, or `*` for all.
    """

    database: Database
    sessions: CheckoutSessions
    checkouts: Checkouts
    fulfillments: Fulfillments
    verify_event: Callable[[bytes, str | None], StripeEvent]
    verify_callback: Callable[[bytes, Mapping[str, str]], None]
    verify_mail_event: Callable[[bytes, Mapping[str, str]], None]
    read_tracking: Callable[[bytes, Mapping[str, str]], TrackingUpdate | None]
    access: Access
    entitlement_tokens: EntitlementTokens
    app_token: str | None
    codec: EncryptionCodec
    codec_token: str | None
    outbox: WorkflowOutbox
    desk: Desk
    mail_queue: MailQueue
    catalog: Catalog
    files: Downloadable
    links: Links
    branding: Branding
    shop_language: str
    embed_origins: tuple[str, ...]
    figures: BusinessFigures
    registry: CollectorRegistry
    visits: VisitLimit
    public_url: str
    livemode: bool
    operator_token: str
    connect_accounts: tuple[str, ...] = ()

    def is_ours(self, account: str | None) -> bool:
        """Whether sessions of an account are ours to fulfill."""
        return account is None or bool({account, ALL_ACCOUNTS} & set(self.connect_accounts))


async def _services(request: Request) -> Services:
    # A coroutine although it waits for nothing: FastAPI runs plain functions in a thread.
    return cast("Services", request.app.state.services)


ServicesOf = Annotated[Services, Depends(_services)]


async def count_visit(request: Request, services: ServicesOf) -> None:
    """Counts what anybody may ask for without a token: see `api.visits`.

    Raises:
        TooManyVisitsError: One address asks too often.
    """
    await services.visits.count(request)
