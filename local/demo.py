"""`make demo`: buys something from the sample shop and shows the order's way, step by step.

It uses the stack that `make up` runs, or a temporary one when none is running.
"""

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import stripe
from rich.console import Console
from stripe.params.checkout import SessionCreateParams

from ending import run_to_end
from local.ports import LOCALHOST
from local.running import find_running
from local.stack import Stack
from local.timeline import Moment, workflow_moments
from settings import LocalSettings, Settings, load
from workflows.client import connect

PRODUCT = "prod_SampleBook"
"""What the demo buys: it is shipped, and gives access too."""
ADDRESS = {
    "line1": "27 Fredrick Avenue",
    "city": "Brothers",
    "state": "OR",
    "postal_code": "97712",
    "country": "US",
}
TIMEOUT_S = 30.0
POLL_INTERVAL_S = 0.02
CLOSED = {"fulfilled", "payment_failed", "expired", "action_required"}
"""States of an order in which nothing more happens by itself."""

console = Console(highlight=False, soft_wrap=True)


class DemoFailedError(Exception):
    """The order did not come through; the message tells how far it came."""


class Demo:
    """One purchase.

    Args:
        environment: the product's settings, as the stack runs with them.
        urls: where people find the parts of the stack, by name.
    """

    def __init__(self, environment: dict[str, str], urls: dict[str, str]) -> None:
        self._environment = environment
        self._urls = urls
        self._api = f"http://{LOCALHOST}:{environment['PORT']}"
        self._stripe_api = environment["STRIPE_API_BASE"]
        self._customer = f"jenny-{secrets.token_hex(3)}@example.com"
        self._http = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)

    async def run(self) -> None:
        """Buys, follows the order to its end, and prints its way.

        Raises:
            DemoFailedError: the order was not fulfilled.
        """
        async with self._http:
            session = await self._check_out()
            paid_at = datetime.now(UTC)
            event_id = await self._pay(session.id)
            moments = [Moment(paid_at, f"{self._customer} pays by card")]
            landing_page = str(session.success_url).replace("{CHECKOUT_SESSION_ID}", session.id)
            # Checkout redirects the customer once the webhook is answered.
            moments.append(await self._webhook(event_id))
            moments.append(await self._land(landing_page))
            order = await self._wait_closed(session.id)
            moments += await self._workflow(session.id)
            moments += await self._parcels(session.id)
            moments += await self._mails()
            for moment in sorted(moments):
                milliseconds = (moment.at - paid_at).total_seconds() * 1000
                console.print(f"  [cyan]{milliseconds:7.0f} ms[/]  {moment.what}")
            self._show_order(order)
            self._show_links(session.id, landing_page)

    async def _check_out(self) -> stripe.checkout.Session:
        """Makes a Checkout Session with Stripe's own SDK, as a shop does."""
        http_client = stripe.HTTPXClient()
        client = stripe.StripeClient(
            self._environment["STRIPE_API_KEY"],
            base_addresses={"api": self._stripe_api},
            http_client=http_client,
        )
        product = await client.v1.products.retrieve_async(PRODUCT)
        params: SessionCreateParams = {
            "mode": "payment",
            "line_items": [{"price": str(product.default_price), "quantity": 1}],
            "success_url": f"{self._environment['PUBLIC_URL']}/after-checkout"
            "?session_id={CHECKOUT_SESSION_ID}",
            "shipping_address_collection": {"allowed_countries": ["US"]},
        }
        session = await client.v1.checkout.sessions.create_async(params)
        await http_client.close_async()  # type: ignore[no-untyped-call]
        console.print(f"\n[bold]{product.name}[/], Checkout Session {session.id}\n")
        return session

    async def _pay(self, session_id: str) -> str:
        """Pays as the customer would on the pay page; returns the event's ID."""
        paid = await self._http.post(
            f"{self._stripe_api}/_emulator/sessions/{session_id}/pay",
            json={
                "method": "card",
                "email": self._customer,
                "name": "Jenny Rosen",
                "address": ADDRESS,
            },
        )
        return str(paid.raise_for_status().json()["event"])

    async def _land(self, landing_page: str) -> Moment:
        answer = await self._http.get(landing_page)
        return Moment(datetime.now(UTC), f"landing page shown (HTTP {answer.status_code})")

    async def _wait_closed(self, session_id: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._environment['OPERATOR_TOKEN']}"}
        url = f"{self._api}/orders/{session_id}"
        order: dict[str, Any] = {}
        async with _limited("the order is not closed"):
            while order.get("state") not in CLOSED:
                await asyncio.sleep(POLL_INTERVAL_S)
                answer = await self._http.get(url, headers=headers)
                order = answer.json() if answer.is_success else {}
        if order["state"] != "fulfilled":
            raise DemoFailedError(f"the order is {order['state']}: {order['error']}")
        return order

    async def _webhook(self, event_id: str) -> Moment:
        """When the API had acknowledged the webhook: Temporal has the order then."""
        async with _limited("the webhook is not answered"):
            while True:
                answer = await self._http.get(f"{self._stripe_api}/_emulator/deliveries")
                for delivery in answer.json()["data"]:
                    if delivery["event"] == event_id and delivery["state"] == "succeeded":
                        attempt = delivery["attempts"][-1]
                        seconds = attempt["at"] + attempt["duration_ms"] / 1000
                        at = datetime.fromtimestamp(seconds, UTC)
                        return Moment(at, f"webhook {delivery['type']} acknowledged")
                await asyncio.sleep(POLL_INTERVAL_S)

    async def _workflow(self, session_id: str) -> list[Moment]:
        settings = Settings.model_validate(
            {name.lower(): value for name, value in self._environment.items()}
        )
        client = await connect(
            settings.temporal_address,
            settings.temporal_namespace,
            payload_keys=settings.payload_keys,
        )
        handle = client.get_workflow_handle(session_id)
        # The order is closed in the database a moment before the workflow is.
        async with _limited("the workflow has not ended"):
            await handle.result()
        return await workflow_moments(handle)

    async def _parcels(self, session_id: str) -> list[Moment]:
        if "Carrier" not in self._urls:
            return []
        answer = await self._http.get(f"{self._urls['Carrier']}/shipments")
        return [
            Moment(datetime.fromisoformat(each["booked_at"]), f"parcel {each['tracking_number']}")
            for each in answer.json()["shipments"]
            if each["reference"].startswith(session_id)
        ]

    async def _mails(self) -> list[Moment]:
        if "Mail inbox" not in self._urls:
            return []
        answer = await self._http.get(f"{self._urls['Mail inbox']}/api/messages")
        return [
            Moment(datetime.fromisoformat(each["received_at"]), f"mail “{each['subject']}”")
            for each in answer.json()["messages"]
            if self._customer in each["recipients"]
        ]

    def _show_order(self, order: dict[str, Any]) -> None:
        console.print(f"\nThe order is [bold green]{order['state']}[/]:")
        for line in order["lines"]:
            for each in line["fulfillments"]:
                name = f"{line['description']}, {line['quantity']} pcs"
                in_hand = [thing["value"] for thing in each["delivered"]]
                links = [parcel["tracking_url"] for parcel in each["parcels"]]
                shown = " ".join(in_hand + [link for link in links if link])
                console.print(f"  {name}: {each['kind']} {each['state']} {shown}")

    def _show_links(self, session_id: str, landing_page: str) -> None:
        console.print("\nLook at it (as long as the stack runs):")
        links = {"Landing page": landing_page, **self._urls}
        if "Temporal" in links:
            links["Temporal"] += f"/{session_id}"
        for name, url in links.items():
            console.print(f"  {name:<13} [cyan]{url}[/]")


@asynccontextmanager
async def _limited(problem: str) -> AsyncIterator[None]:
    """Gives up on the block after a while, with this problem as the reason."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield
    except TimeoutError:
        raise DemoFailedError(f"after {TIMEOUT_S:g} s {problem}") from None


async def demonstrate() -> None:
    """Runs one purchase against the running stack, or a temporary one.

    Raises:
        DemoFailedError: the order was not fulfilled, or the stack is on a real Stripe account.
    """
    running = find_running(load(LocalSettings).data_dir)
    if running is None:
        console.print("Nothing is running (`make up`), so a temporary stack is started.")
        async with Stack() as stack:
            await Demo(stack.environment, stack.urls).run()
    elif not running.environment:
        raise DemoFailedError("the stack is still starting; try again in a moment")
    elif "STRIPE_API_BASE" not in running.environment:
        raise DemoFailedError("the stack uses a real Stripe account, where it can't pay by itself")
    else:
        await Demo(running.environment, running.urls).run()


def main() -> None:
    """Runs the demo; exit code 1 when the order was not fulfilled."""
    try:
        asyncio.run(demonstrate())
    except DemoFailedError as error:
        sys.exit(f"The demo did not come through: {error}")


if __name__ == "__main__":
    run_to_end(main)
