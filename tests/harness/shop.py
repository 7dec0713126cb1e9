"""A merchant and a customer in front of the Stripe emulator: Stripe's SDK sells, the control
API pays."""

from typing import Any

import httpx
import stripe

CUSTOMER_ADDRESS = {
    "line1": "1 Main Street",
    "city": "Springfield",
    "state": "IL",
    "postal_code": "62701",
    "country": "US",
}
CUSTOMER = {"email": "jo@example.com", "name": "Jo Doe", "address": CUSTOMER_ADDRESS}
ACCESS = {
    "fulfillment": "access",
    "access_url": "https://learn.example.com/course",
    "access_feature": "course",
}
MANUAL = {"fulfillment": "manual", "manual_instructions": "Call the customer"}


def shipment(sku: str) -> dict[str, str]:
    """Metadata of a product that is shipped."""
    return {"fulfillment": "shipment", "shipment_sku": sku, "shipment_weight_grams": "350"}


class Shop:
    """Sells at one emulator.

    Args:
        url: The emulator's address.
        api_key: The merchant's key.
        success_url: Where Checkout sends the customer.
    """

    def __init__(self, url: str, api_key: str, success_url: str) -> None:
        self._stripe_http = stripe.HTTPXClient()
        self.stripe = stripe.StripeClient(
            api_key, base_addresses={"api": url}, http_client=self._stripe_http
        )
        self._control = httpx.AsyncClient(base_url=f"{url}/_emulator", timeout=30)
        self._success_url = success_url

    async def close(self) -> None:
        await self._stripe_http.close_async()  # type: ignore[no-untyped-call]
        await self._control.aclose()

    async def price(
        self, metadata: dict[str, str], *, amount: int = 1999, currency: str = "usd", name: str = ""
    ) -> str:
        """Puts a product on sale; returns its price's ID."""
        product = await self.stripe.v1.products.create_async(
            {"name": name or metadata.get("fulfillment", "Mystery"), "metadata": metadata}
        )
        price = await self.stripe.v1.prices.create_async(
            {"product": product.id, "unit_amount": amount, "currency": currency}
        )
        return price.id

    async def checkout(self, *prices: str, quantity: int = 1, **options: Any) -> str:
        """Creates a Checkout Session; returns its ID."""
        parameters: Any = {
            "mode": "payment",
            "line_items": [{"price": price, "quantity": quantity} for price in prices],
            "success_url": self._success_url,
            "shipping_address_collection": {"allowed_countries": ["US", "DE", "JP"]},
            **options,
        }
        session = await self.stripe.v1.checkout.sessions.create_async(parameters)
        return session.id

    async def pay(self, session_id: str, method: str = "card", **details: Any) -> str:
        """Pays as the customer would on the pay page; returns the event's ID."""
        answer = await self.control(
            "POST", f"/sessions/{session_id}/pay", {"method": method, **CUSTOMER, **details}
        )
        return str(answer["event"])

    async def buy(self, *metadata: dict[str, str], quantity: int = 1, **options: Any) -> str:
        """Puts products on sale, checks out one of each, and pays by card."""
        prices = [await self.price(each) for each in metadata]
        session_id = await self.checkout(*prices, quantity=quantity, **options)
        await self.pay(session_id)
        return session_id

    async def charge(self, session_id: str) -> stripe.Charge:
        """The charge that has paid a session."""
        session = await self.stripe.v1.checkout.sessions.retrieve_async(
            session_id, {"expand": ["payment_intent.latest_charge"]}
        )
        assert isinstance(session.payment_intent, stripe.PaymentIntent)
        charge = session.payment_intent.latest_charge
        assert isinstance(charge, stripe.Charge)
        return charge

    async def settle(self, session_id: str) -> None:
        """The delayed payment arrives."""
        await self.control("POST", f"/sessions/{session_id}/settle")

    async def fail(self, session_id: str) -> None:
        """The delayed payment fails."""
        await self.control("POST", f"/sessions/{session_id}/fail")

    async def deliveries(self, mode: str) -> None:
        """Switches webhooks: normal, hold or drop."""
        await self.control("POST", "/deliveries", {"mode": mode})

    async def delivered(self) -> list[dict[str, Any]]:
        """The webhook deliveries so far, newest first."""
        answer = await self.control("GET", "/deliveries")
        return list(answer["data"])

    async def completed_event(self, session_id: str) -> str:
        """The ID of the event that told of a session's completion."""
        events = await self.stripe.v1.events.list_async({"type": "checkout.session.completed"})
        return next(event.id for event in events.data if event.data.object["id"] == session_id)

    async def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Calls the emulator's control API."""
        answer = await self._control.request(method, path, json=body)
        answer.raise_for_status()
        return dict(answer.json())
