"""Which Stripe events mean something to us: one decorated handler each.

The list of events to register at Stripe, `handled_events`, is made from the handlers.
"""

from collections.abc import Awaitable, Callable

from domain.events import StripeEvent
from domain.ids import is_checkout_session_id, is_reversal_id
from domain.reversals import ReversalObject
from workflows.client import Fulfillments
from workflows.contract import CheckoutEvent

Handler = Callable[[StripeEvent, Fulfillments], Awaitable[None]]

_handlers: dict[str, Handler] = {}


class UnusableEventError(Exception):
    """The event is genuine, yet names no object that its handler could work on."""


def on(*types: str) -> Callable[[Handler], Handler]:
    """Registers a handler for events of these types."""

    def register(handler: Handler) -> Handler:
        _handlers.update(dict.fromkeys(types, handler))
        return handler

    return register


def handled_events() -> tuple[str, ...]:
    """The event types that a webhook endpoint at Stripe is to send."""
    return tuple(sorted(_handlers))


def handler_of(event_type: str) -> Handler | None:
    """The handler of an event type, None for events that mean nothing to us."""
    return _handlers.get(event_type)


@on("checkout.session.completed")
async def checkout_completed(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """Starts the session's workflow, unless it runs or has fulfilled the order.

    It is not signaled: a workflow that runs already has asked Stripe after the completion. A
    signal that arrives while its steps run as local activities, all in one workflow task,
    would make Temporal throw that task away and run them again.
    """
    await fulfillments.trigger(_session_id(event), account=event.account, reopen=True)


@on("checkout.session.async_payment_failed", "checkout.session.expired")
async def payment_lost(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """Tells the session's workflow to look at it again, or starts it, in one atomic call.

    No event is believed: the workflow asks Stripe.
    """
    await fulfillments.trigger(_session_id(event), _signal(event), account=event.account)


@on("checkout.session.async_payment_succeeded")
async def payment_arrived(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """As `payment_lost`; also opens an order again that was closed as unpaid."""
    await fulfillments.trigger(
        _session_id(event), _signal(event), account=event.account, reopen=True
    )


@on("refund.created", "refund.updated", "refund.failed", "charge.refund.updated")
async def refund_changed(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """Has what the refund is about taken back, or given back where it has failed."""
    await _reverse(ReversalObject.REFUND, event, fulfillments)


@on("charge.refunded")
async def charge_refunded(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """As `refund_changed`; the event names the charge and not the refund."""
    await _reverse(ReversalObject.CHARGE, event, fulfillments)


@on(
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)
async def dispute_changed(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """Has done what the dispute's state means for each fulfillment."""
    await _reverse(ReversalObject.DISPUTE, event, fulfillments)


@on("radar.early_fraud_warning.created", "radar.early_fraud_warning.updated")
async def fraud_warned(event: StripeEvent, fulfillments: Fulfillments) -> None:
    """Has held what is not delivered yet."""
    await _reverse(ReversalObject.FRAUD_WARNING, event, fulfillments)


async def _reverse(kind: ReversalObject, event: StripeEvent, fulfillments: Fulfillments) -> None:
    if event.object_id is None or not is_reversal_id(event.object_id):
        raise UnusableEventError(f"{event.type} without the ID of its object")
    await fulfillments.reverse(kind, event.object_id, _signal(event), account=event.account)


def _signal(event: StripeEvent) -> CheckoutEvent:
    return CheckoutEvent(id=event.id, type=event.type)


def _session_id(event: StripeEvent) -> str:
    if event.object_id is None or not is_checkout_session_id(event.object_id):
        raise UnusableEventError(f"{event.type} without a Checkout Session ID")
    return event.object_id
