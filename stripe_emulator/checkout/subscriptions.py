"""What sessions in the modes `subscription` and `setup` leave behind.

A subscription is started and paid once; renewals are beyond this stand-in. While the first
payment is under way, or after it failed, the subscription is incomplete: see "Subscription
statuses" under "How subscriptions work" in Stripe's documentation.
"""

from typing import Final

from ..emulator import SCHEDULED_ACTIONS, Emulator
from ..ids import new_id, now, random_text
from ..paging import list_object
from ..payments import intents
from ..store import Account, StripeObject
from .invoices import add_payment, find_intent, mark_paid, new_invoice, void

FIRST_PAYMENT_WITHIN_S: Final = 23 * 3600
"""An incomplete subscription is given up when nobody has paid by then."""
_PERIOD_S: Final = {
    "day": 24 * 3600,
    "week": 7 * 24 * 3600,
    "month": 30 * 24 * 3600,
    "year": 365 * 24 * 3600,
}


def _plan(price: StripeObject) -> StripeObject:
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": False,
        "metadata": {},
        "meter": recurring["meter"],
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": recurring["usage_type"],
    }


def _items(account: Account, session: StripeObject, subscription_id: str) -> list[StripeObject]:
    items = []
    for line in session["_line_items"]:
        price = account.get("price", line["price"])
        if price["recurring"] is None:
            continue
        period_s = _PERIOD_S[price["recurring"]["interval"]] * price["recurring"]["interval_count"]
        items.append(
            {
                "id": new_id("si", 14),
                "object": "subscription_item",
                "billing_thresholds": None,
                "created": now(),
                "current_period_end": now() + period_s,
                "current_period_start": now(),
                "discounts": [],
                "metadata": {},
                "plan": _plan(price),
                "price": price,
                "quantity": line["quantity"],
                "subscription": subscription_id,
                "tax_rates": [],
            }
        )
    return items


def _new_subscription(
    account: Account, session: StripeObject, method: StripeObject, trial_days: int
) -> StripeObject:
    subscription_id = new_id("sub")
    items = _items(account, session, subscription_id)
    created = now()
    trial_end = created + trial_days * 24 * 3600 if trial_days else None
    data = session["_subscription_data"]
    return {
        "id": subscription_id,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": trial_end or created,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"type": "flexible", "flexible": None},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": None,
        "cancel_at_period_end": False,
        "canceled_at": None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": "charge_automatically",
        "created": created,
        "currency": session["currency"],
        "customer": session["customer"],
        "customer_account": None,
        "days_until_due": None,
        "default_payment_method": method["id"],
        "default_source": None,
        "default_tax_rates": [],
        "description": data.get("description"),
        "discounts": [],
        "ended_at": None,
        "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
        "items": list_object(f"/v1/subscription_items?subscription={subscription_id}", items),
        "latest_invoice": None,
        "livemode": False,
        "metadata": dict(data.get("metadata") or {}),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": created,
        "status": "trialing" if trial_days else "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial_end,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": created if trial_days else None,
    }


def complete_subscription(
    emulator: Emulator, account: Account, session: StripeObject, method: StripeObject
) -> None:
    """Start the subscription and pay its first invoice, unless it begins with a trial.

    A bank debit leaves the subscription incomplete and the invoice open until it ends.

    Raises:
        StripeError: If the bank declines.
    """
    trial_days = session["_subscription_data"].get("trial_period_days", 0)
    due = 0 if trial_days else session["amount_total"]
    intent: StripeObject | None = None
    if due:
        intent = intents.new_intent(
            account,
            amount=due,
            currency=session["currency"],
            customer=session["customer"],
            payment_method_types=session["payment_method_types"],
            setup_future_usage="off_session",
            _session=session["id"],
        )
        emulator.emit(account, "payment_intent.created", intent)
        intents.confirm(emulator, account, intent, method)
    subscription = _new_subscription(account, session, method, trial_days)
    paid = intent is None or intent["status"] == "succeeded"
    if not paid:
        subscription["status"] = "incomplete"
        until = subscription["created"] + FIRST_PAYMENT_WITHIN_S
        emulator.schedule.add(until, "expire_subscription", account.id, subscription["id"])
    invoice = account.add(new_invoice(account, session, subscription, due))
    subscription["latest_invoice"] = invoice["id"]
    account.add(subscription)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}
    session["payment_status"] = "no_payment_required"
    if intent is not None:
        add_payment(account, invoice, intent)
        session["payment_status"] = "paid" if paid else "unpaid"
    emulator.emit(account, "customer.subscription.created", subscription)
    for event_type in ("invoice.created", "invoice.finalized"):
        emulator.emit(account, event_type, invoice)
    if paid:
        mark_paid(emulator, account, invoice)


def first_payment_succeeded(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The intent behind a first invoice succeeded later: the subscription begins."""
    invoice = account.get("invoice", intent["_invoice"])
    mark_paid(emulator, account, invoice)
    subscription = _of_invoice(account, invoice)
    previous = {"status": subscription["status"]}
    subscription["status"] = "active"
    emulator.emit(account, "customer.subscription.updated", subscription, previous)


def first_payment_failed(emulator: Emulator, account: Account, intent: StripeObject) -> None:
    """The intent behind a first invoice failed: it may be tried again within 23 hours in all."""
    invoice = account.get("invoice", intent["_invoice"])
    emulator.emit(account, "invoice.payment_failed", invoice)
    subscription = _of_invoice(account, invoice)
    if now() >= subscription["created"] + FIRST_PAYMENT_WITHIN_S:
        _expire(emulator, account, subscription["id"])


def _of_invoice(account: Account, invoice: StripeObject) -> StripeObject:
    parent = invoice["parent"]["subscription_details"]
    return account.get("subscription", parent["subscription"])


def _expire(emulator: Emulator, account: Account, subscription_id: str) -> None:
    """Give an incomplete subscription up, unless its payment is still under way."""
    subscription = account.get("subscription", subscription_id)
    invoice = account.get("invoice", subscription["latest_invoice"])
    intent = find_intent(account, invoice)
    if subscription["status"] != "incomplete" or (intent and intent["status"] == "processing"):
        return
    void(emulator, account, invoice)
    subscription |= {"status": "incomplete_expired", "ended_at": now()}
    previous = {"status": "incomplete", "ended_at": None}
    emulator.emit(account, "customer.subscription.updated", subscription, previous)


SCHEDULED_ACTIONS["expire_subscription"] = _expire


def complete_setup(
    emulator: Emulator, account: Account, session: StripeObject, method: StripeObject
) -> None:
    """Save the payment method for later."""
    setup_id = new_id("seti")
    data = session["_setup_intent_data"]
    intent: StripeObject = {
        "id": setup_id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{setup_id}_secret_{random_text(24)}",
        "created": now(),
        "customer": session["customer"],
        "customer_account": None,
        "description": data.get("description"),
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": dict(data.get("metadata") or {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method["id"],
        "payment_method_configuration_details": None,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "single_use_mandate": None,
        "status": "succeeded",
        "usage": "off_session",
    }
    account.add(intent)
    session["setup_intent"] = setup_id
    emulator.emit(account, "setup_intent.created", intent)
    emulator.emit(account, "setup_intent.succeeded", intent)
