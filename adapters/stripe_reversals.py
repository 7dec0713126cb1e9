"""Refunds, disputes and early fraud warnings through Stripe's SDK."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from adapters.stripe_api import PAGE_SIZE, on_account, reading
from domain.money import Money
from domain.refunds import REQUEST_KEY
from domain.reversals import (
    LINE_ITEMS_KEY,
    Cause,
    ReversalObject,
    StripeReversal,
)

_VOID_REFUNDS = frozenset({"failed", "canceled"})
_OPEN_DISPUTES = frozenset({"needs_response", "under_review"})
_LOST_DISPUTES = frozenset({"lost", "prevented"})


class StripeReversals:
    """Reads what went back of a payment.

    Args:
        client: A client whose key may read refunds, charges, disputes, early fraud warnings,
            Checkout Sessions and, for subscriptions, invoice payments.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self._stripe = client.v1

    async def payment_of(
        self, kind: ReversalObject, object_id: str, account: str | None
    ) -> str | None:
        """See `activities.ports.Reversals`."""
        options: Any = on_account(account)
        objects: Mapping[ReversalObject, Any] = {
            ReversalObject.REFUND: self._stripe.refunds,
            ReversalObject.DISPUTE: self._stripe.disputes,
            ReversalObject.CHARGE: self._stripe.charges,
            ReversalObject.FRAUD_WARNING: self._stripe.radar.early_fraud_warnings,
        }
        with reading("a reversal"):
            try:
                found = (await objects[kind].retrieve_async(object_id, options=options)).to_dict()
                paid_by = found.get("payment_intent")
                if paid_by is None and isinstance(found.get("charge"), str):
                    charge = await self._stripe.charges.retrieve_async(
                        found["charge"], options=options
                    )
                    paid_by = charge.to_dict().get("payment_intent")
            except stripe.StripeError as error:
                if error.code == "resource_missing":
                    return None
                raise
        return str(paid_by) if paid_by else None

    async def session_of(self, payment_intent_id: str, account: str | None) -> str | None:
        """See `activities.ports.Reversals`.

        A subscription's session names no PaymentIntent: it is found by its first invoice.

        Source: Stripe's API reference, "List all Checkout Sessions" and "Invoice Payment".
        """
        options: Any = on_account(account)
        with reading("a payment's session"):
            sessions = await self._stripe.checkout.sessions.list_async(
                {"payment_intent": payment_intent_id, "limit": 1}, options
            )
            if sessions.data:
                return sessions.data[0].id
            payments = await self._stripe.invoice_payments.list_async(
                {
                    "payment": {"type": "payment_intent", "payment_intent": payment_intent_id},
                    "limit": 1,
                    "expand": ["data.invoice"],
                },
                options,
            )
            for payment in payments.data:
                invoice = payment.to_dict().get("invoice")
                if isinstance(invoice, dict):
                    return await self._session_of_invoice(invoice, options)
        return None

    async def _session_of_invoice(
        self,
        invoice: Mapping[str, Any],
        options: Any,  # noqa: ANN401 - the SDK's own type is a TypedDict
    ) -> str | None:
        details = (invoice.get("parent") or {}).get("subscription_details") or {}
        if not details.get("subscription"):
            return None
        sessions = await self._stripe.checkout.sessions.list_async(
            {"subscription": details["subscription"], "limit": 1}, options
        )
        for session in sessions.data:
            # A later invoice pays for another period, which is not what the session sold.
            if session.to_dict().get("invoice") == invoice["id"]:
                return session.id
        return None

    async def of_payment(
        self, payment_intent_id: str, account: str | None
    ) -> tuple[StripeReversal, ...]:
        """See `activities.ports.Reversals`.

        Source: Stripe's API reference, "List all refunds", "List all disputes" and "List all
        early fraud warnings".
        """
        options: Any = on_account(account)
        params: Any = {"payment_intent": payment_intent_id, "limit": PAGE_SIZE}
        with reading("a reversal"):
            refunds = await self._stripe.refunds.list_async(params, options)
            disputes = await self._stripe.disputes.list_async(params, options)
            warnings = await self._stripe.radar.early_fraud_warnings.list_async(params, options)
            return (
                *[_refund(each.to_dict()) async for each in refunds.auto_paging_iter()],
                *[_dispute(each.to_dict()) async for each in disputes.auto_paging_iter()],
                *[_warning(each.to_dict()) async for each in warnings.auto_paging_iter()],
            )


def status_of(kind: ReversalObject, data: Mapping[str, Any]) -> str:
    """The status of a refund or dispute; of a warning, which has none, whether it is actionable."""
    if kind is ReversalObject.FRAUD_WARNING:
        return "actionable" if data["actionable"] else "not_actionable"
    # Null on very old refunds, which have succeeded.
    return data["status"] or "succeeded"


def _refund(data: Mapping[str, Any]) -> StripeReversal:
    return StripeReversal(
        id=data["id"],
        cause=Cause.REFUND,
        status=status_of(ReversalObject.REFUND, data),
        counts=data.get("status") not in _VOID_REFUNDS,
        amount=_money(data),
        reason=data.get("reason"),
        line_items=(data.get("metadata") or {}).get(LINE_ITEMS_KEY),
        request_id=(data.get("metadata") or {}).get(REQUEST_KEY),
        created_at=_time(data),
    )


def _dispute(data: Mapping[str, Any]) -> StripeReversal:
    status = status_of(ReversalObject.DISPUTE, data)
    if status.startswith("warning_"):
        cause = Cause.INQUIRY
    elif status in _LOST_DISPUTES:
        cause = Cause.DISPUTE_LOST
    else:
        cause = Cause.DISPUTE_OPENED
    stands = status in _OPEN_DISPUTES | _LOST_DISPUTES
    return StripeReversal(
        id=data["id"],
        cause=cause,
        status=status,
        counts=stands or (cause is Cause.INQUIRY and status != "warning_closed"),
        amount=_money(data),
        reason=data.get("reason"),
        created_at=_time(data),
    )


def _warning(data: Mapping[str, Any]) -> StripeReversal:
    return StripeReversal(
        id=data["id"],
        cause=Cause.FRAUD_WARNING,
        status=status_of(ReversalObject.FRAUD_WARNING, data),
        counts=data["actionable"],
        amount=None,
        reason=data.get("fraud_type"),
        created_at=_time(data),
    )


def _money(data: Mapping[str, Any]) -> Money:
    return Money(amount_minor=data["amount"], currency=data["currency"])


def _time(data: Mapping[str, Any]) -> datetime:
    return datetime.fromtimestamp(data["created"], UTC)
