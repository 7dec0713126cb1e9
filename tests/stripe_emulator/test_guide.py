"""Stripe's guide "Fulfill orders", followed step by step against the emulator.

What a step of the guide prints or sends stands in the test beside it.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import stripe
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .conftest import API_KEY, Server, Shop, free_port
from .stripe_cli import CliRunner, needs_cli

CARD_FORM = {
    "action": "pay",
    "method": "card",
    "email": "jenny@example.com",
    "card_number": "4242 4242 4242 4242",
    "expiry": "12/34",
    "cvc": "123",
    "name": "Jenny Rosen",
    "billing_postal_code": "90210",
}


@dataclass
class GuideServer:
    """The server of the guide: its function, its webhook and its landing page."""

    client: stripe.StripeClient
    secret: str = ""
    fulfilled: dict[str, list[str]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def fulfill_checkout(self, session_id: str) -> None:
        self.log.append(f"Fulfilling Checkout Session {session_id}")
        if session_id in self.fulfilled:
            return
        session = self.client.v1.checkout.sessions.retrieve(session_id, {"expand": ["line_items"]})
        if session.payment_status != "unpaid":
            assert session.line_items is not None
            self.fulfilled[session_id] = [
                f"{item.quantity} x {item.description}" for item in session.line_items.data
            ]

    def app(self) -> Starlette:
        async def webhook(request: Request) -> Response:
            payload = await request.body()
            try:
                event = stripe.Webhook.construct_event(
                    payload, request.headers["stripe-signature"], self.secret
                )
            except (ValueError, stripe.SignatureVerificationError):
                return Response(status_code=400)
            if event.type in {
                "checkout.session.completed",
                "checkout.session.async_payment_succeeded",
            }:
                self.fulfill_checkout(event.data.object["id"])
            return Response(status_code=200)

        async def landing(request: Request) -> Response:
            session_id = request.query_params["session_id"]
            self.fulfill_checkout(session_id)
            return PlainTextResponse(f"Thank you: {self.fulfilled[session_id]}")

        return Starlette(
            routes=[
                Route("/webhook", webhook, methods=["POST"]),
                Route("/after-checkout", landing),
            ]
        )


def curl(base_url: str, path: str, body: str) -> dict[str, str]:
    """The guide's curl commands: the key as user, fields as given, no version."""
    answer = httpx.post(
        base_url + path,
        auth=(API_KEY, ""),
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert answer.status_code == 200, answer.text
    made: dict[str, str] = answer.json()
    return made


def test_the_guide_with_the_sdk_and_a_webhook_endpoint(
    client: stripe.StripeClient, shop: Shop, base_url: str
) -> None:
    server = GuideServer(client)
    with Server(server.app(), free_port()) as at:
        # Create a webhook endpoint
        endpoint = client.v1.webhook_endpoints.create(
            {"url": f"{at.url}/webhook", "enabled_events": ["checkout.session.completed"]}
        )
        assert endpoint.secret is not None
        server.secret = endpoint.secret

        # Hosted Checkout: curl with line_items, mode and success_url
        landing = f"{at.url}/after-checkout?session_id={{CHECKOUT_SESSION_ID}}"
        price = shop.price()
        session = curl(
            base_url,
            "/v1/checkout/sessions",
            f"line_items[0][price]={price}&line_items[0][quantity]=1&mode=payment"
            + f"&success_url={landing.replace('{', '%7B').replace('}', '%7D')}",
        )
        paid = httpx.post(session["url"], data=CARD_FORM, timeout=15)
        assert paid.status_code == 303
        assert paid.headers["location"] == landing.replace("{CHECKOUT_SESSION_ID}", session["id"])
        # Checkout waited for the webhook before it redirected.
        assert server.fulfilled == {session["id"]: ["1 x T-shirt"]}
        page = httpx.get(paid.headers["location"])
        assert page.text == "Thank you: ['1 x T-shirt']"
        assert server.log == [f"Fulfilling Checkout Session {session['id']}"] * 2

        # Payment Links: curl with after_completion
        link = curl(
            base_url,
            "/v1/payment_links",
            f"line_items[0][price]={price}&line_items[0][quantity]=1"
            "&after_completion[type]=redirect"
            f"&after_completion[redirect][url]={landing}",
        )
        visit = httpx.get(link["url"])
        paid = httpx.post(visit.headers["location"], data=CARD_FORM, timeout=15)
        page = httpx.get(paid.headers["location"])
        assert page.text == "Thank you: ['1 x T-shirt']"
        assert len(server.fulfilled) == 2


@needs_cli
async def test_the_guide_with_stripe_listen(
    client: stripe.StripeClient, shop: Shop, base_url: str, tmp_path: Path
) -> None:
    server = GuideServer(client)
    cli = CliRunner(base_url, tmp_path)
    with Server(server.app(), free_port()) as at:
        forward_to = at.url.replace("http://127.0.0.1", "localhost") + "/webhook"
        async with cli.listening("--forward-to", forward_to) as listener:
            ready = listener.lines[-1]
            assert "Ready!" in ready
            assert "(^C to quit)" in ready
            secret = re.search(r"whsec_\w+", ready)
            assert secret is not None
            server.secret = secret[0]

            session = shop.session()
            async with httpx.AsyncClient(timeout=15) as http:
                await http.post(str(session.url), data=CARD_FORM)
            await listener.wait_for_line("--> checkout.session.completed")
            await listener.wait_for_line("[200] POST")
    assert server.fulfilled == {session.id: ["2 x T-shirt"]}
