"""Charges and the balance transactions behind them. See "The Charge object"."""

from typing import Final

from ..ids import new_id, now
from ..store import Account, StripeObject
from .methods import TestCard

_FEE_PERMILLE: Final = 29
_FEE_FIXED_MINOR: Final = 30
_AVAILABLE_AFTER_S: Final = 2 * 24 * 3600
_DECLINE_MESSAGES: Final = {
    "generic_decline": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
}


def decline_message(decline_code: str) -> str:
    """What the customer is told."""
    return _DECLINE_MESSAGES[decline_code]


def _outcome(card: TestCard, status: str) -> StripeObject:
    declined = status == "failed"
    return {
        "advice_code": "try_again_later" if declined else None,
        "network_advice_code": None,
        "network_decline_code": card.decline if declined else None,
        "network_status": "declined_by_network" if declined else "approved_by_network",
        "reason": card.decline if declined else None,
        "risk_level": "normal",
        "risk_score": 12,
        "seller_message": "The bank did not return any further details with this decline."
        if declined
        else "Payment complete.",
        "type": "issuer_declined" if declined else "authorized",
    }


def _method_details(method: StripeObject) -> StripeObject:
    kind = method["type"]
    left_out = {
        "display_brand", "generated_from", "networks", "three_d_secure_usage",
        "financial_connections_account", "status_details",
    }  # fmt: skip
    details = {name: value for name, value in method[kind].items() if name not in left_out}
    if kind == "card":
        details |= {
            "amount_authorized": None,
            "authorization_code": None,
            "installments": None,
            "mandate": None,
            "network": method["card"]["brand"],
            "three_d_secure": None,
        }
    elif kind == "konbini":
        details["store"] = None
    else:
        details["mandate"] = None
    return {kind: details, "type": kind}


def new_charge(
    account: Account, intent: StripeObject, method: StripeObject, card: TestCard, status: str
) -> StripeObject:
    """A charge for the intent: `succeeded`, `pending` or `failed`."""
    failed = status == "failed"
    charge_id = new_id("ch")
    return account.add(
        {
            "id": charge_id,
            "object": "charge",
            "amount": intent["amount"],
            "amount_captured": intent["amount"] if status == "succeeded" else 0,
            "amount_refunded": 0,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": None,
            "billing_details": method["billing_details"],
            "calculated_statement_descriptor": "EMULATOR",
            "captured": not failed,
            "created": now(),
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_balance_transaction": None,
            "failure_code": "card_declined" if failed else None,
            "failure_message": decline_message(card.decline) if failed and card.decline else None,
            "fraud_details": {},
            "livemode": False,
            "metadata": dict(intent["metadata"]),
            "on_behalf_of": None,
            "outcome": _outcome(card, status),
            "paid": status == "succeeded",
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": _method_details(method),
            "presentment_details": None,
            "radar_options": {},
            "receipt_email": intent["receipt_email"],
            "receipt_number": None,
            "receipt_url": None,
            "refunded": False,
            "review": None,
            "shipping": intent["shipping"],
            "source": None,
            "source_transfer": None,
            "statement_descriptor": None,
            "statement_descriptor_suffix": None,
            "status": status,
            "transfer_data": None,
            "transfer_group": None,
        }
    )


def add_balance_transaction(
    account: Account, source: StripeObject, amount_minor: int, kind: str
) -> StripeObject:
    """Book an amount in minor units, negative for money that leaves; charges cost a fee."""
    fee = amount_minor * _FEE_PERMILLE // 1000 + _FEE_FIXED_MINOR if kind == "charge" else 0
    created = now()
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": source["currency"],
            "description": "Stripe processing fees",
            "type": "stripe_fee",
        }
    ]
    return account.add(
        {
            "id": new_id("txn"),
            "object": "balance_transaction",
            "amount": amount_minor,
            "available_on": created + _AVAILABLE_AFTER_S,
            "balance_type": "payments",
            "created": created,
            "currency": source["currency"],
            "description": None,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": details if fee else [],
            "net": amount_minor - fee,
            "reporting_category": "dispute" if kind == "adjustment" else kind,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        }
    )
