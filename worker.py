"""The worker: `python worker.py` runs workflows and activities until it is told to stop.

This is its composition root: settings become adapters, adapters become activities.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import uvloop
from temporalio.client import Client, Interceptor
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import (
    PollerBehaviorAutoscaling,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkerDeploymentConfig,
    WorkflowRunner,
)

from activities.access import Access, AccessActivities
from activities.alerts import AlertActivities, Alerts
from activities.desk import Desk, DeskActivities
from activities.downloads import DownloadActivities
from activities.heartbeats import Heartbeats
from activities.interceptor import ErrorTranslator
from activities.licenses import LicenseActivities
from activities.log_context import OrderInLogs
from activities.mail_queue import MailQueue
from activities.mails import MailActivities, Mails
from activities.messages import MessageActivities, Messages
from activities.orders import OrderActivities
from activities.outbox import OutboxActivities
from activities.pace import Pace, Paced
from activities.parcels import ParcelActivities
from activities.reconciliation import Reconciler, ReconciliationActivities
from activities.refunds import RefundActivities, Refunder
from activities.reversal_intake import ReversalActivities
from activities.reversal_mails import ReversalMailActivities
from activities.reversals import Reverser
from activities.routing import Routed
from activities.service_reversals import ServiceReversalActivities
from activities.services import ServiceActivities
from activities.shipment_reversals import ShipmentReversalActivities
from activities.shipments import ShipmentActivities
from activities.stock_queue import StockActivities, StockQueue
from adapters.app_webhook import AppWebhook
from adapters.carriers import open_carrier
from adapters.download_folder import DownloadFolder
from adapters.service_webhook import WebhookService
from adapters.smtp_mailer import SmtpMailer
from adapters.stripe_api import open_stripe
from adapters.stripe_checkout import StripeCheckout
from adapters.stripe_feed import StripeFeed
from adapters.stripe_refunds import StripeRefunds
from adapters.stripe_reversals import StripeReversals
from connection import connect_by
from database.engine import Database
from database.revisions import is_behind, newest_revision
from domain.catalog import Catalog, CatalogError
from domain.concerns import Concern
from domain.errors import TransientError
from domain.links import Links
from emails.render import Renderer
from ending import run_to_end
from logs import log_to_stderr
from settings import ReceiptSender, Settings, load
from tracing import start_tracing
from workflows.catalog_file import read_catalog
from workflows.client import Fulfillments
from workflows.deliver_message import DeliverMessage
from workflows.fulfill_checkout import FulfillCheckout
from workflows.fulfillment.kind import KindContext
from workflows.fulfillment.registry import activities_of_kinds
from workflows.mail_alerts import MailAlerts
from workflows.outbox import WorkflowOutbox
from workflows.parcel_news import MailParcelNews
from workflows.reconcile import ReconcileCheckouts
from workflows.refund_order import RefundOrder
from workflows.reverse_checkout import ReverseCheckout
from workflows.schedule import ensure_schedule
from workflows.search import ensure_registered
from workflows.send_email import SendEmail

logger = logging.getLogger("worker")

GRACEFUL_SHUTDOWN = timedelta(seconds=20)
"""How long running activities may go on after a stop was asked for."""
RECONNECT_DELAY_S = 1.0
CARRIER_JOBS = ("book_shipment", "abandon_shipment", "reverse_shipment")
MAILS_OF_ORDERS = ("send_receipt", "send_payment_failed", "send_delivery", "send_question")
MAIL_JOBS = (*MAILS_OF_ORDERS, "send_email", "mail_parcel_news", "mail_alerts")
"""The activities that a limit of the outside system is about."""
SWEEP_JOBS = (
    *("resume_orders", "keep_stock", "send_unsent"),
    *("begin_sweep", "sweep_page", "raise_overdue"),
)
"""The activities that go through what may be a lot."""
WORKFLOWS = [
    FulfillCheckout,
    ReconcileCheckouts,
    SendEmail,
    DeliverMessage,
    MailAlerts,
    MailParcelNews,
    ReverseCheckout,
    RefundOrder,
]
SPLIT_OFF = {Concern.SHIPPING: CARRIER_JOBS, Concern.MAIL: MAILS_OF_ORDERS}
"""Which activities run on the queues of their concerns, where these have some."""


class Workers:
    """The workers of one process, one for each task queue that it serves.

    Args:
        workers: Which.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._running = contextlib.AsyncExitStack()

    @property
    def activities(self) -> list[Callable[..., Any]]:
        """What they run."""
        return [each for worker in self._workers for each in worker.config()["activities"]]

    async def __aenter__(self) -> Self:
        for worker in self._workers:
            await self._running.enter_async_context(worker)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Together: each of them may take as long as running activities are given.
        await asyncio.gather(*(worker.shutdown() for worker in self._workers))
        await self._running.__aexit__(kind, error, traceback)


@contextlib.asynccontextmanager
async def assembled_worker(
    settings: Settings, client: Client, catalog: Catalog, *, runner: WorkflowRunner | None = None
) -> AsyncIterator[Workers]:
    """Workers that are ready to run, with their adapters open for as long as the block.

    Args:
        settings: Where everything is.
        client: A connection to the Temporal server.
        catalog: What each product fulfills.
        runner: How workflows run. By default without Temporal's sandbox, which costs a third
            of the worker's time; the tests run the same workflows inside it.
    """
    async with contextlib.AsyncExitStack() as stack:
        database = await stack.enter_async_context(
            Database(settings.database_url.get_secret_value(), settings.database_pool_size)
        )
        stripe = await stack.enter_async_context(
            open_stripe(
                settings.stripe_api_key.get_secret_value(), api_base=settings.stripe_api_base
            )
        )
        sessions = StripeCheckout(stripe)
        key = settings.carrier_api_key
        carrier = await stack.enter_async_context(
            open_carrier(
                settings.carrier, settings.carrier_url, key.get_secret_value() if key else None
            )
        )
        moved = StripeReversals(stripe)
        reverser = Reverser(database, moved, catalog)
        outbox = WorkflowOutbox(client, settings.temporal_task_queue)
        refunder = Refunder(outbox, catalog)
        messages = Messages(outbox, wanted=bool(settings.app_webhook_url))
        alerts = Alerts(outbox, messages, mailed=bool(settings.alert_emails))
        orders = OrderActivities(
            database,
            sessions,
            catalog,
            reverser,
            refunder,
            alerts=alerts,
            livemode=settings.livemode,
            foreign_sessions=settings.foreign_sessions,
        )
        fulfillments = Fulfillments(client, settings.temporal_task_queue)
        desk = DeskActivities(Desk(database, outbox, refunder, fulfillments, settings.public_url))
        queue = StockQueue(database, fulfillments)
        reversals = ReversalActivities(database, moved, reverser, orders, fulfillments)
        refunds = RefundActivities(database, StripeRefunds(stripe), fulfillments)
        shipments = ShipmentActivities(database, carrier, catalog, queue, messages)
        access = AccessActivities(Access(database, messages))
        licenses = LicenseActivities(database)
        downloads = DownloadActivities(database, DownloadFolder(settings.downloads_folder))
        mailer = SmtpMailer(settings.smtp_url.get_secret_value(), sender=settings.mail_from)
        sender = _mails(settings, database, mailer)
        alerting = AlertActivities(
            database,
            alerts,
            mailer,
            settings.alert_emails,
            overdue_after=timedelta(hours=settings.alert_after_hours),
            order_url=settings.workflows_url,
            public_url=settings.public_url,
        )
        mails = MailActivities(sender, sends_receipts=settings.receipts is ReceiptSender.SERVICE)
        service = await stack.enter_async_context(
            WebhookService(
                [each.get_secret_value() for each in settings.app_webhook_secrets],
                settings.service_hosts,
            )
        )
        services = ServiceActivities(database, service, _links(settings))
        reconciliation = ReconciliationActivities(
            Reconciler(database, StripeFeed(stripe), fulfillments),
            database,
            settings.stripe_connect_accounts,
            livemode=settings.livemode,
        )
        app = await stack.enter_async_context(
            AppWebhook(
                settings.app_webhook_url,
                [secret.get_secret_value() for secret in settings.app_webhook_secrets],
            )
        )
        await _wait_for_schema(database)
        activities: list[Callable[..., Any]] = [
            orders.sync_order,
            orders.record_step,
            orders.refresh_order,
            orders.close_order,
            reversals.record_reversal,
            reversals.resume_order,
            reversals.settle_by_hand,
            ReversalMailActivities(
                database, MailQueue(outbox, settings.public_url)
            ).tell_of_reversal,
            refunds.find_refunded_order,
            refunds.make_refund,
            refunds.give_up_refund,
            desk.resend_receipt,
            desk.change_address,
            desk.hold_order,
            desk.refund_all,
            access.grant_access,
            access.reverse_access,
            licenses.issue_licenses,
            licenses.reverse_licenses,
            downloads.offer_downloads,
            downloads.reverse_downloads,
            shipments.book_shipment,
            shipments.abandon_shipment,
            shipments.reserve_stock,
            ShipmentReversalActivities(database, carrier, queue).reverse_shipment,
            services.call_service,
            services.abandon_service_call,
            ServiceReversalActivities(database, service).reverse_service_call,
            mails.send_receipt,
            mails.send_payment_failed,
            mails.send_delivery,
            mails.send_question,
            mails.send_email,
            reconciliation.begin_sweep,
            reconciliation.sweep_page,
            reconciliation.resume_orders,
            reconciliation.end_sweep,
            StockActivities(database, queue).keep_stock,
            MessageActivities(database, app).deliver_message,
            OutboxActivities(database, outbox).send_unsent,
            alerting.mail_alerts,
            alerting.raise_overdue,
            ParcelActivities(database, sender).mail_parcel_news,
            *activities_of_kinds(KindContext(database)),
        ]
        queues = settings.served_queues
        interceptors = [
            OrderInLogs(),
            ErrorTranslator(),
            Routed(_routes(settings)),
            Heartbeats((*MAIL_JOBS, *SWEEP_JOBS)),
            Paced(_paces(settings, database)),
        ]

        def worker(concern: Concern) -> Worker:
            whole = concern is Concern.FULFILLMENT
            return Worker(
                client,
                task_queue=queues[concern],
                workflows=WORKFLOWS if whole else [],
                activities=activities if whole else _named(activities, SPLIT_OFF[concern]),
                interceptors=interceptors,
                workflow_runner=runner or UnsandboxedWorkflowRunner(),
                graceful_shutdown_timeout=GRACEFUL_SHUTDOWN,
                deployment_config=_deployment(settings),
                workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
                activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            )

        yield Workers([worker(concern) for concern in queues])


def _named(
    activities: Sequence[Callable[..., Any]], names: Sequence[str]
) -> list[Callable[..., Any]]:
    return [each for each in activities if each.__name__ in names]


def _routes(settings: Settings) -> dict[str, str]:
    """Which activities run on which other queue."""
    if not settings.split_task_queues:
        return {}
    return {
        name: concern.queue(settings.temporal_task_queue)
        for concern, names in SPLIT_OFF.items()
        for name in names
    }


def _deployment(settings: Settings) -> WorkerDeploymentConfig | None:
    """Which version of the worker this is; None where Temporal is not to tell them apart.

    Every workflow goes on with the current version: docs/decisions/0013.
    """
    if not settings.temporal_worker_build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(
            settings.temporal_deployment_name, settings.temporal_worker_build_id
        ),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


def _paces(settings: Settings, database: Database) -> dict[str, Pace]:
    """Which activities wait for a turn, where there are limits."""
    limits = {
        "carrier": (settings.carrier_jobs_per_second, CARRIER_JOBS),
        "mail": (settings.mail_jobs_per_second, MAIL_JOBS),
    }
    return {
        name: Pace(database, system, per_second)
        for system, (per_second, names) in limits.items()
        if per_second
        for name in names
    }


def _links(settings: Settings) -> Links:
    secrets = [secret.get_secret_value() for secret in settings.signing_secrets]
    return Links(settings.public_url, secrets)


def _mails(settings: Settings, database: Database, mailer: SmtpMailer) -> Mails:
    return Mails(
        database,
        mailer,
        Renderer(_links(settings), settings.branding, shop_language=settings.shop_language),
        public_url=settings.public_url,
        reply_to=settings.shop_support_email or None,
    )


async def _wait_for_schema(database: Database) -> None:
    """Waits until the database answers with the schema that this code needs."""
    needed = newest_revision()
    while True:
        try:
            revision = await database.revision()
        except TransientError as error:
            logger.warning("waiting for the database: %s", error.message)
        else:
            if not is_behind(revision):
                return
            logger.warning(
                "the database is at revision %s, this code needs %s: run `fulfillment migrate`",
                revision,
                needed,
            )
        await asyncio.sleep(RECONNECT_DELAY_S)


async def _connect_patiently(settings: Settings, interceptors: Sequence[Interceptor]) -> Client:
    while True:
        try:
            return await connect_by(
                settings,
                interceptors=interceptors,
                metrics_address=settings.worker_metrics_address,
            )
        except RuntimeError as error:
            logger.warning("waiting for Temporal at %s: %s", settings.temporal_address, error)
            await asyncio.sleep(RECONNECT_DELAY_S)


async def _serve(settings: Settings, catalog: Catalog, interceptors: Sequence[Interceptor]) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    for stop in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(stop, serving.cancel if serving else loop.stop)
    client = await _connect_patiently(settings, interceptors)
    await ensure_registered(client)
    async with assembled_worker(settings, client, catalog) as workers, workers:
        await ensure_schedule(client, settings.temporal_task_queue)
        logger.info("listening on task queue %s", ", ".join(settings.served_queues.values()))
        await asyncio.Event().wait()


def main() -> None:
    """Runs the worker until SIGINT or SIGTERM, then lets what it began finish."""
    settings = load(Settings)
    log_to_stderr(settings.log_format)
    try:
        catalog = read_catalog(settings.catalog_file)
    except CatalogError as error:
        sys.exit(f"CATALOG_FILE: {error.message}")
    tracing = start_tracing(settings, "checkout-fulfillment-worker")
    with contextlib.closing(tracing), contextlib.suppress(asyncio.CancelledError):
        uvloop.run(_serve(settings, catalog, tracing.interceptors))


if __name__ == "__main__":
    run_to_end(main)
