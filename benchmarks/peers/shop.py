"""What every peer does for an order, with ordinary blocking clients."""

import os
import smtplib
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import stripe
from psycopg_pool import ConnectionPool
from pydantic import BaseModel

CONCURRENCY = 32
"""How many orders each peer works on at once; as many as the closed loop has on their way."""
EVENTS = frozenset({"checkout.session.completed", "checkout.session.async_payment_succeeded"})
TIMEOUT_S = 10
SENDER = "shop@example.com"


class Item(BaseModel):
    """One kind of goods in the parcel."""

    sku: str
    quantity: int
    weight_grams: int


class Order(BaseModel):
    """What a paid Checkout Session says, as far as somebody needs it."""

    session_id: str
    email: str
    total: str
    address: dict[str, str | None]
    features: list[str]
    items: list[Item]


class Shop:
    """The merchant's side of Stripe, the database, the carrier and the mail server.

    Configured by environment variables, as such programs are.
    """

    def __init__(self) -> None:
        self._webhook_secret = os.environ["STRIPE_WEBHOOK_SECRET"]
        self._stripe = stripe.StripeClient(
            os.environ["STRIPE_API_KEY"],
            base_addresses={"api": os.environ["STRIPE_API_BASE"]},
            http_client=stripe.HTTPXClient(timeout=TIMEOUT_S, allow_sync_methods=True),
        ).v1
        self._carrier = httpx.Client(base_url=os.environ["CARRIER_URL"], timeout=TIMEOUT_S)
        smtp = urlsplit(os.environ["SMTP_URL"])
        self._smtp_host, self._smtp_port = smtp.hostname or "", smtp.port or 25
        self._database = ConnectionPool(
            os.environ["DATABASE_URL"], min_size=4, max_size=CONCURRENCY, open=True
        )

    def paid_session(self, payload: bytes, signature: str) -> str | None:
        """The Checkout Session that a webhook tells of; None when it tells of something else.

        Raises:
            ValueError: It is not genuine.
        """
        try:
            event = stripe.Webhook.construct_event(payload, signature, self._webhook_secret)
        except stripe.SignatureVerificationError as error:
            raise ValueError(str(error)) from error
        return str(event.data.object["id"]) if event.type in EVENTS else None

    def fulfill_once(self, session_id: str) -> None:
        """All of it, in one transaction whose row no other call can have at the same time."""
        with self._database.connection() as connection:
            connection.execute(
                "INSERT INTO fulfillments (session_id) VALUES (%s) ON CONFLICT DO NOTHING",
                (session_id,),
            )
            row = connection.execute(
                "SELECT fulfilled_at FROM fulfillments WHERE session_id = %s FOR UPDATE",
                (session_id,),
            ).fetchone()
            if row is None or row[0] is not None:
                return
            order = self.retrieve(session_id)
            if order is None:
                return
            self._grant(connection, order)
            self.mail_receipt(order, self.book_parcel(order))
            self._record(connection, session_id)

    def retrieve(self, session_id: str) -> Order | None:
        """Asks Stripe; None when the session is not paid."""
        session: dict[str, Any] = self._stripe.checkout.sessions.retrieve(
            session_id, {"expand": ["line_items.data.price.product"]}
        ).to_dict()
        if session["payment_status"] == "unpaid":
            return None
        features, items = [], []
        for line in session["line_items"]["data"]:
            sold = line["price"]["product"]["metadata"]
            kinds = sold["fulfillment"].split(",")
            if "access" in kinds:
                features.append(sold["access_feature"])
            if "shipment" in kinds:
                items.append(
                    Item(
                        sku=sold["shipment_sku"],
                        quantity=line["quantity"],
                        weight_grams=int(sold["shipment_weight_grams"]),
                    )
                )
        shipping = session["collected_information"]["shipping_details"]
        return Order(
            session_id=session_id,
            email=session["customer_details"]["email"],
            total=f"{session['amount_total'] / 100:.2f} {session['currency'].upper()}",
            address={"name": shipping["name"], **shipping["address"]},
            features=features,
            items=items,
        )

    def grant_access(self, order: Order) -> None:
        """Records what the customer may use from now on."""
        with self._database.connection() as connection:
            self._grant(connection, order)

    def book_parcel(self, order: Order) -> str:
        """Books the parcel, under the session's ID as idempotency key; returns its number."""
        answer = self._carrier.post(
            "/shipments",
            headers={"Idempotency-Key": order.session_id},
            json={
                "reference": order.session_id,
                "to": order.address,
                "items": [item.model_dump() for item in order.items],
            },
        )
        answer.raise_for_status()
        return str(answer.json()["tracking_number"])

    def mail_receipt(self, order: Order, tracking_number: str) -> None:
        """Mails what was paid, what may be used and what is on its way."""
        mail = EmailMessage()
        mail["From"], mail["To"] = SENDER, order.email
        mail["Subject"] = "Your order"
        mail.set_content(
            f"You paid {order.total}.\n"
            f"You may use: {', '.join(order.features)}.\n"
            f"Your parcel: {tracking_number}.\n"
        )
        with smtplib.SMTP(self._smtp_host, self._smtp_port, timeout=TIMEOUT_S) as smtp:
            smtp.send_message(mail)

    def record_fulfilled(self, session_id: str) -> None:
        """Records that all of it is done."""
        with self._database.connection() as connection:
            self._record(connection, session_id)

    @staticmethod
    def _grant(connection: psycopg.Connection, order: Order) -> None:
        for feature in order.features:
            connection.execute(
                "INSERT INTO entitlements (session_id, feature, email) VALUES (%s, %s, %s) "
                "ON CONFLICT DO NOTHING",
                (order.session_id, feature, order.email),
            )

    @staticmethod
    def _record(connection: psycopg.Connection, session_id: str) -> None:
        connection.execute(
            "INSERT INTO fulfillments (session_id, fulfilled_at) VALUES (%s, now()) "
            "ON CONFLICT (session_id) DO UPDATE SET fulfilled_at = now()",
            (session_id,),
        )
