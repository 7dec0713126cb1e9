"""An order of which something is in every state that a mail can tell of."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from domain.ids import FulfillmentRef
from domain.links import Links
from domain.mail import About, Branding, Facts
from domain.money import Money
from domain.orders import (
    Deliverable,
    DeliverableType,
    Fulfillment,
    FulfillmentState,
    Order,
    OrderLine,
    OrderState,
    Question,
)
from domain.returns import Return, ReturnState
from domain.reversals import Cause, Reversal
from domain.shipping import Parcel, ParcelStatus
from emails.render import Renderer

SESSION_ID = "cs_test_sample0123456789"
ORDERED_AT = datetime(2026, 5, 1, 12, tzinfo=UTC)
EXPIRES_AT = datetime(2027, 5, 1, 12, tzinfo=UTC)
DEFAULT_AT = datetime(2026, 5, 15, 12, tzinfo=UTC)
LINKS = Links("https://shop.example.com", ["a-secret-of-thirty-two-characters!"])
BRANDING = Branding(
    name="Ada's Shop",
    logo_url="https://shop.example.com/logo.png",
    color="#663399",
    support_email="help@example.com",
    postal_address="1 High Street, London",
)
MAILS = (
    "receipt",
    "payment_failed",
    "delivery",
    "parcel_in_transit",
    "parcel_delivered",
    "parcel_exception",
    "address_needed",
    "out_of_stock",
    "refunded",
    "refund_failed",
    "disputed",
    "dispute_lost",
    "restored",
    "return_needed",
    "return_received",
)
LANGUAGES = ("en", "de", "fr", "es", "ja")


def money(amount_minor: int, currency: str = "usd") -> Money:
    return Money(amount_minor=amount_minor, currency=currency)


_FACTS = Facts(
    default_at=DEFAULT_AT,
    reversal=Reversal(
        id="re_sample",
        session_id=SESSION_ID,
        cause=Cause.REFUND,
        status="succeeded",
        counts=True,
        amount=money(3000),
        lines={"li_bundle": 1, "li_mugs": 1},
        created_at=ORDERED_AT,
    ),
    returns=(
        Return(
            id="ret_sample",
            session_id=SESSION_ID,
            line_item_id="li_mugs",
            kind="shipment",
            sku="MUG-BLUE",
            warehouse="main",
            quantity=1,
            state=ReturnState.ASKED,
        ),
    ),
)


@cache
def renderer(branding: Branding = BRANDING, shop_language: str = "en") -> Renderer:
    return Renderer(LINKS, branding, shop_language=shop_language)


def fulfillment(kind: str, state: FulfillmentState, **values: Any) -> Fulfillment:
    return Fulfillment(line_item_id="", kind=kind, state=state, **values)


def delivered(kind: str, type_: DeliverableType, value: str, **values: Any) -> Fulfillment:
    """A fulfillment that has handed one thing over."""
    each = Deliverable(type=type_, value=value, **values)
    return fulfillment(kind, FulfillmentState.FULFILLED, delivered=(each,))


def parcel(number: int, status: ParcelStatus, *, tracked: bool = True) -> Parcel:
    return Parcel(
        number=number,
        warehouse="main",
        items=(),
        status=status,
        carrier="Local",
        tracking_number=f"TRACK{number}" if tracked else None,
        tracking_url=f"https://carrier.example.com/TRACK{number}" if tracked else None,
    )


def line(id_: str, description: str, *fulfillments: Fulfillment, **values: Any) -> OrderLine:
    return OrderLine.model_validate(
        {
            "id": id_,
            "description": description,
            "quantity": 1,
            "quantity_offer": None,
            "subtotal": money(2000),
            "discount": None,
            "tax": None,
            "total": money(2000),
            "price_id": None,
            "product_id": None,
            "fulfillments": tuple(
                item.model_copy(update={"line_item_id": id_}) for item in fulfillments
            ),
            **values,
        }
    )


_DELIVERED = (
    delivered("access", DeliverableType.LINK, "https://learn.example.com/course"),
    delivered("download", DeliverableType.FILE, "guide.pdf", label="The guide"),
    delivered("license_key", DeliverableType.KEY, "AAAA-BBBB", expires_at=EXPIRES_AT),
    delivered("webhook", DeliverableType.TEXT, "Seat 12 A", label="Your seat"),
)
_TWO_PARCELS = fulfillment(
    "shipment",
    FulfillmentState.FULFILLED,
    reversed=1,
    parcels=(
        parcel(1, ParcelStatus.IN_TRANSIT),
        parcel(2, ParcelStatus.PLANNED, tracked=False),
    ),
)
_WAITING: dict[str, dict[str, Any]] = {
    "address": {"state": FulfillmentState.AWAITING_CUSTOMER, "question": Question.ADDRESS},
    "stock": {"state": FulfillmentState.AWAITING_CUSTOMER, "question": Question.OUT_OF_STOCK},
    "queue": {"state": FulfillmentState.BACKORDERED},
    "hand": {"state": FulfillmentState.AWAITING_OPERATOR},
    "done": {"state": FulfillmentState.FULFILLED},
}


def order(**values: Any) -> Order:
    """The order; `values` change parts of it."""
    return Order.model_validate(
        {
            "session_id": SESSION_ID,
            "state": OrderState.PARTIALLY_FULFILLED,
            "error": None,
            "error_step": None,
            "mismatch": None,
            "account": None,
            "livemode": False,
            "mode": "payment",
            "payment_status": "paid",
            "payment_intent_id": None,
            "subscription_id": None,
            "payment_link_id": None,
            "payment_method": None,
            "payment_method_types": (),
            "subtotal": money(16000),
            "tax": money(1200),
            "shipping": money(500),
            "discount": money(1000),
            "total": money(16700),
            "presentment": None,
            "customer_id": None,
            "customer_email": "jo@example.com",
            "customer_name": "Jo Doe",
            "collected": None,
            "custom_fields": (),
            "locale": None,
            "shipping_address": None,
            "client_reference_id": None,
            "metadata": {},
            "created_at": ORDERED_AT,
            "closed_at": None,
            "receipt_sent_at": None,
            "lines": (
                line("li_bundle", "The bundle", *_DELIVERED),
                line("li_mugs", "Mug", _TWO_PARCELS, quantity=2, subtotal=money(4000)),
                *(
                    line(f"li_{name}", name.title(), fulfillment("shipment", **state))
                    for name, state in _WAITING.items()
                ),
            ),
            **values,
        }
    )


def ref(line_item_id: str, kind: str) -> FulfillmentRef:
    return FulfillmentRef(session_id=SESSION_ID, line_item_id=line_item_id, kind=kind)


def about(name: str) -> About:
    """What a mail of that name tells of."""
    if name == "delivery":
        kinds = [item.kind for item in _DELIVERED]
        return About(fulfillments=tuple(ref("li_bundle", kind) for kind in kinds))
    if name.startswith("parcel_"):
        return About(fulfillments=(ref("li_mugs", "shipment"),), parcel=1)
    if name == "address_needed":
        asked = ref("li_address", "shipment")
        return About(fulfillments=(asked,), question=Question.ADDRESS)
    if name == "out_of_stock":
        asked = ref("li_stock", "shipment")
        return About(fulfillments=(asked,), question=Question.OUT_OF_STOCK)
    if name in {"refunded", "refund_failed", "disputed", "dispute_lost", "restored"}:
        return About(reversal="re_sample")
    return About(returns=("ret_sample",)) if name.startswith("return_") else About()


def facts(name: str) -> Facts:
    """What a mail of that name tells besides."""
    part = about(name)
    return Facts(
        default_at=_FACTS.default_at if part.question else None,
        reversal=_FACTS.reversal if part.reversal else None,
        returns=_FACTS.returns if part.returns else (),
    )
