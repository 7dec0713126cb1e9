"""One test's world: emulator, carrier, inbox and API on real ports, over a real PostgreSQL and
a real Temporal server; workers start and stop as the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.interceptor import ErrorTranslator
from api.app import create_app
from database.engine import Database
from database.order_view import read_order
from database.stock import read_stock, set_on_hand
from domain.orders import Order, OrderState
from local.carrier.app import create_app as create_carrier
from local.carrier.courier import Callbacks
from local.mail_inbox.app import create_app as create_inbox
from local.ports import free_port
from settings import Settings
from stripe_emulator import EmulatorConfig
from stripe_emulator import create_app as create_emulator
from tests.harness.serving import serving
from tests.harness.shop import Shop
from worker import assembled_worker
from workflows.catalog_file import read_catalog
from workflows.client import Fulfillments, connect
from workflows.contract import FulfillmentResult, OperatorDecision, StepView
from workflows.fulfill_checkout import FulfillCheckout
from workflows.reconcile import ReconcileCheckouts, SweepReport

T = TypeVar("T")

API_KEY = "sk_test_TheTestsOwnKey0123456789"
WEBHOOK_SECRET = "whsec_TheTestsOwnSecret0123456789"
OPERATOR_TOKEN = "the-tests-own-operator-token"
"""What an operator sends."""
APP_TOKEN = "the-tests-own-app-token"
"""What the merchant's application sends."""
SIGNING_SECRET = "the-tests-own-secret-of-customers-links"
STANDARD_WEBHOOKS_SECRET = "whsec_VGhlVGVzdHNPd25TdGFuZGFyZFdlYmhvb2tzS2V5"
"""Signs what goes to and comes from the merchant's services, the carrier and the mail provider."""


@dataclass(frozen=True)
class Heard:
    """One request that somebody outside has received."""

    by: str
    method: str
    path: str
    headers: Headers


async def _cannot_skip(_time: timedelta) -> None:
    raise NotImplementedError("this world's Temporal server runs in real time")


@dataclass
class World:
    """Handles on everything that a test may look at or break."""

    settings: Settings
    client: Client
    database: Database
    shop: Shop
    api: httpx.AsyncClient
    carrier: httpx.AsyncClient
    inbox: httpx.AsyncClient
    skip: Callable[[timedelta], Awaitable[None]] = field(default=_cannot_skip)
    """Lets time pass, in a world whose Temporal server can skip it."""

    @property
    def fulfillments(self) -> Fulfillments:
        return Fulfillments(self.client, self.settings.temporal_task_queue)

    def with_settings(self, **changes: Any) -> "World":
        """The same world, whose workers run with other settings."""
        return replace(self, settings=self.settings.model_copy(update=changes))

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Runs a worker, inside Temporal's sandbox, for as long as the block."""
        catalog = read_catalog(self.settings.catalog_file)
        runner = SandboxedWorkflowRunner()
        assembled = assembled_worker(self.settings, self.client, catalog, runner=runner)
        async with assembled as workers, workers:
            yield

    @asynccontextmanager
    async def worker_without_regular_activities(self) -> AsyncIterator[None]:
        """Runs a worker of orders on which all regular activities wait."""
        catalog = read_catalog(self.settings.catalog_file)
        # No client has two workers on one queue, and one of these only lends its activities.
        address, namespace = self.settings.temporal_address, self.settings.temporal_namespace
        own, lending = [await connect(address, namespace) for _ in range(2)]
        async with (
            assembled_worker(self.settings, lending, catalog) as assembled,
            Worker(
                own,
                task_queue=self.settings.temporal_task_queue,
                workflows=[FulfillCheckout],
                activities=assembled.activities,
                no_remote_activities=True,
                interceptors=[ErrorTranslator()],
            ),
        ):
            yield

    def workflow(self, session_id: str) -> WorkflowHandle[Any, FulfillmentResult]:
        return self.client.get_workflow_handle(session_id, result_type=FulfillmentResult)

    async def sweep(self) -> SweepReport:
        """Runs one sweep of reconciliation, as the schedule does."""
        queue = self.settings.temporal_task_queue
        report: SweepReport = await self.client.execute_workflow(
            ReconcileCheckouts.run, id=f"sweep-{uuid4().hex}", task_queue=queue
        )
        return report

    async def result(self, session_id: str) -> FulfillmentResult:
        """Waits for the order's end."""
        return await asyncio.wait_for(self._result(session_id), 60)

    async def _result(self, session_id: str) -> FulfillmentResult:
        while True:
            result = await self.fulfillments.result(session_id)
            if result is not None:
                return result
            await asyncio.sleep(0.05)

    async def order(self, session_id: str) -> Order:
        """What is recorded of an order."""
        order = await self.order_or_none(session_id)
        assert order is not None, f"no order {session_id}"
        return order

    async def order_or_none(self, session_id: str) -> Order | None:
        async with self.database.transaction() as connection:
            return await read_order(connection, session_id)

    async def buy_delayed(self, metadata: dict[str, str]) -> str:
        """Buys by bank debit, and waits until the order awaits its payment; a worker must run."""
        price = await self.shop.price(metadata, currency="eur")
        session_id = await self.shop.checkout(price, allowed_payment_method_types=["sepa_debit"])
        await self.shop.pay(session_id, "bank_debit")

        async def recorded() -> bool | None:
            order = await self.order_or_none(session_id)
            return True if order and order.state is OrderState.AWAITING_PAYMENT else None

        await eventually(recorded)
        return session_id

    async def steps(self, session_id: str) -> dict[str, StepView]:
        """The steps of an order's workflow, by name; none before it has started."""
        try:
            views = await self.workflow(session_id).query("steps", result_type=tuple[StepView, ...])
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return {}
            raise
        return {view.step: view for view in views}

    async def retried(self, session_id: str) -> list[str]:
        """The activities that went on as regular ones, after their local try had failed."""
        history = await self.workflow(session_id).fetch_history()
        return [
            event.activity_task_scheduled_event_attributes.activity_type.name
            for event in history.events
            if event.HasField("activity_task_scheduled_event_attributes")
        ]

    async def step_in(self, session_id: str, state: str) -> StepView:
        """Waits until one step of an order is in a state."""

        async def found() -> StepView | None:
            for view in (await self.steps(session_id)).values():
                if view.state == state:
                    return view
            return None

        return await eventually(found)

    async def decide(self, session_id: str, update: str, step: str, reason: str = "") -> None:
        """Sends an operator's update."""
        decision = OperatorDecision(step=step, by="ops@example.com", reason=reason)

        async def accepted() -> StepView | None:
            try:
                view: StepView = await self.workflow(session_id).execute_update(
                    update, decision, result_type=StepView
                )
            except RPCError as error:
                # The server's word for a signal that came just when the workflow would end.
                if "unexpected workflow task failure" not in error.message:
                    raise
                return None
            return view

        await eventually(accepted)

    async def delete_workflow(self, session_id: str) -> None:
        """Makes Temporal forget a workflow, as it does when its retention has passed."""
        await self.wait_deleted(session_id, await self.ask_to_delete_workflow(session_id))

    async def ask_to_delete_workflow(self, session_id: str) -> str:
        """Has a workflow ended, if it runs, and forgotten some seconds later; returns its run."""
        run_id = str((await self.workflow(session_id).describe()).run_id)
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.settings.temporal_namespace,
                workflow_execution=WorkflowExecution(workflow_id=session_id, run_id=run_id),
            )
        )
        return run_id

    async def wait_deleted(self, session_id: str, run_id: str) -> None:
        """Waits until nothing is left of a run."""
        deleted = self.client.get_workflow_handle(session_id, run_id=run_id)

        async def gone() -> bool | None:
            try:
                await deleted.describe()
            except RPCError:
                return True
            return None

        await eventually(gone)

    async def let_rest(self, session_id: str) -> None:
        """As if nothing had happened to an order for an hour."""
        await self.execute(
            "UPDATE orders SET updated_at = now() - interval '1 hour' "  # noqa: S608 - our own ID
            f"WHERE session_id = '{session_id}'"
        )

    async def refused(self, session_id: str, update: str, step: str) -> str:
        """Sends an operator's update that is to be refused; returns why it was."""
        with pytest.raises(WorkflowUpdateFailedError) as refusal:
            await self.decide(session_id, update, step)
        return str(refusal.value.cause)

    async def execute(self, statement: str) -> None:
        """Runs one SQL statement."""
        async with self.database.transaction() as connection:
            await connection.execute(text(statement))

    async def stock(self, sku: str) -> int:
        async with self.database.transaction() as connection:
            levels = await read_stock(connection)
        return sum(level.on_hand for level in levels if level.sku == sku)

    async def restock(self, sku: str, on_hand: int) -> None:
        """Sets how many pieces are on hand."""
        async with self.database.transaction() as connection:
            await set_on_hand(connection, sku, on_hand)

    async def new_sku(self, on_hand: int = 100) -> str:
        """Puts a SKU of this test's own in stock."""
        sku = f"SKU-{uuid4().hex[:8]}"
        async with self.database.transaction() as connection:
            await set_on_hand(connection, sku, on_hand)
        return sku

    async def parcels(self, session_id: str) -> list[dict[str, Any]]:
        """The parcels that the carrier has booked for an order."""
        answer = await self.carrier.get("/shipments")
        return [
            parcel
            for parcel in answer.json()["shipments"]
            if parcel["reference"].startswith(session_id)
        ]

    async def mails(self) -> list[dict[str, Any]]:
        """The mails in the inbox, newest first, whole."""
        listed = (await self.inbox.get("/api/messages")).json()["messages"]
        return [
            (await self.inbox.get(f"/api/messages/{message['id']}")).json() for message in listed
        ]


@asynccontextmanager
async def open_world(
    database_url: str,
    client: Client,
    temporal_address: str,
    folder: Path,
    heard: list[Heard] | None = None,
    /,
    **changes: object,
) -> AsyncIterator[World]:
    """Opens everything but a worker.

    Args:
        database_url: A migrated database.
        client: Of the Temporal server.
        temporal_address: Where that is.
        folder: For what the parts keep.
        heard: Where every request to Stripe and the carrier is noted.
        changes: Other settings. With another `public_url` that is where the API is: in a process
            of its own, which the test starts.
    """
    ports = {name: free_port() for name in ("api", "stripe", "carrier", "inbox", "smtp")}
    url = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    settings = Settings.model_validate(
        {
            "stripe_api_key": API_KEY,
            "stripe_api_base": url["stripe"],
            "stripe_webhook_secrets": f"whsec_OneThatIsBeingRotatedOut,{WEBHOOK_SECRET}",
            "database_url": database_url,
            "temporal_address": temporal_address,
            "temporal_task_queue": f"tests-{uuid4().hex[:8]}",
            "smtp_url": f"smtp://127.0.0.1:{ports['smtp']}",
            "mail_from": "The Shop <shop@example.com>",
            "carrier_url": url["carrier"],
            "public_url": url["api"],
            "operator_token": OPERATOR_TOKEN,
            "signing_secrets": SIGNING_SECRET,
            "app_token": APP_TOKEN,
            # Tests come from one address.
            "visits_per_minute": 0,
            "downloads_folder": folder / "downloads",
            "app_webhook_secrets": STANDARD_WEBHOOKS_SECRET,
            "carrier_webhook_secrets": STANDARD_WEBHOOKS_SECRET,
            "mail_webhook_secrets": STANDARD_WEBHOOKS_SECRET,
            **changes,
        }
    )
    (folder / "downloads").mkdir()
    emulator = create_emulator(
        EmulatorConfig(
            api_key=API_KEY,
            webhook_url=f"{settings.public_url}/webhook",
            webhook_secret=WEBHOOK_SECRET,
            time_scale=10,
        )
    )
    apps: dict[int, ASGIApp] = {
        ports["stripe"]: emulator,
        ports["carrier"]: create_carrier(
            folder / "carrier.sqlite",
            Callbacks(f"{settings.public_url}/carrier/webhook", STANDARD_WEBHOOKS_SECRET),
        ),
        ports["inbox"]: create_inbox(folder / "inbox", ports["smtp"]),
        ports["api"]: create_app(settings),
    }
    if heard is not None:
        for name in ("stripe", "carrier"):
            apps[ports[name]] = _noting(name, apps[ports[name]], heard)
    async with serving(apps), attached_world(settings, client, url["inbox"]) as world:
        # The database is the whole run's; to reconciliation each world is a new beginning.
        await world.execute("DELETE FROM sweeps")
        yield world


def _noting(name: str, app: ASGIApp, heard: list[Heard]) -> ASGIApp:
    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            heard.append(Heard(name, scope["method"], scope["path"], Headers(scope=scope)))
        await app(scope, receive, send)

    return noting


@asynccontextmanager
async def attached_world(
    settings: Settings, client: Client, inbox_url: str
) -> AsyncIterator[World]:
    """Handles on parts that run already, here or in processes of their own."""
    api_key = settings.stripe_api_key.get_secret_value()
    success_url = f"{settings.public_url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"
    async with AsyncExitStack() as stack:
        shop = Shop(settings.stripe_api_base, api_key, success_url)
        stack.push_async_callback(shop.close)
        database = Database(settings.database_url.get_secret_value())
        await stack.enter_async_context(database)
        api, carrier, inbox = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=30))
            for url in (settings.public_url, settings.carrier_url, inbox_url)
        ]
        yield World(settings, client, database, shop, api, carrier, inbox)


async def eventually(check: Callable[[], Awaitable[T | None]], timeout_s: float = 30) -> T:
    """Asks again and again until there is an answer."""
    async with asyncio.timeout(timeout_s):
        while True:
            answer = await check()
            if answer is not None:
                return answer
            await asyncio.sleep(0.05)
