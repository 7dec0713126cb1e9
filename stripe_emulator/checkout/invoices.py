"""The invoice behind a new subscription, and how it is paid.

See "The Invoice object" and "The Invoice Payment object" in Stripe's API reference.
"""

from ..emulator import Emulator
from ..expand import includable
from ..ids import new_id, now
from ..paging import list_object
from ..payments import intents
from ..store import Account, StripeObject


@includable("invoice", "payments")
def _payments(account: Account, invoice: StripeObject) -> StripeObject:
    payment = account.find(invoice.get("_payment") or "")
    return list_object("/v1/invoice_payments", [payment] if payment else [])


@includable("invoice", "confirmation_secret")
def _confirmation_secret(account: Account, invoice: StripeObject) -> StripeObject | None:
    intent = find_intent(account, invoice)
    if intent is None:
        return None
    return {"client_secret": intent["client_secret"], "type": "payment_intent"}


def find_intent(account: Account, invoice: StripeObject) -> StripeObject | None:
    """The intent that pays the invoice; None when nothing was due."""
    payment = account.find(invoice.get("_payment") or "")
    return account.find(payment["payment"]["payment_intent"]) if payment else None


def _line(account: Account, item: StripeObject, invoice_id: str) -> StripeObject:
    price = account.get("price", item["price"])
    return {
        "id": new_id("il"),
        "object": "line_item",
        "amount": item["amount_total"],
        "currency": item["currency"],
        "description": item["description"],
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": invoice_id,
        "livemode": False,
        "metadata": {},
        "parent": None,
        "period": {"end": now(), "start": now()},
        "pretax_credit_amounts": [],
        "pricing": {
            "price_details": {"price": price["id"], "product": price["product"]},
            "type": "price_details",
            "unit_amount_decimal": price["unit_amount_decimal"],
        },
        "quantity": item["quantity"],
        "quantity_decimal": str(item["quantity"]),
        "subtotal": item["amount_subtotal"],
        "taxes": [],
    }


def new_invoice(
    account: Account, session: StripeObject, subscription: StripeObject, due: int
) -> StripeObject:
    """An open invoice over an amount in minor units."""
    invoice_id = new_id("in")
    created = now()
    lines = [_line(account, item, invoice_id) for item in session["_line_items"]]
    return {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "US",
        "account_name": "Emulator",
        "account_tax_ids": None,
        "amount_due": due,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": due,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 1 if due else 0,
        "attempted": True,
        "auto_advance": False,
        "automatic_tax": {
            "disabled_reason": None,
            "enabled": False,
            "liability": None,
            "provider": None,
            "status": None,
        },
        "automatically_finalizes_at": None,
        "billing_reason": "subscription_create",
        "collection_method": "charge_automatically",
        "created": created,
        "currency": session["currency"],
        "custom_fields": None,
        "customer": session["customer"],
        "customer_account": None,
        "customer_address": None,
        "customer_email": session["customer_details"]["email"],
        "customer_name": session["customer_details"]["name"],
        "customer_phone": None,
        "customer_shipping": None,
        "customer_tax_exempt": "none",
        "customer_tax_ids": [],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": None,
        "effective_at": created,
        "ending_balance": 0,
        "footer": None,
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": list_object(f"/v1/invoices/{invoice_id}/lines", lines),
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": None,
        "number": f"EMULATOR-{created}",
        "on_behalf_of": None,
        "parent": {
            "quote_details": None,
            "subscription_details": {
                "metadata": subscription["metadata"],
                "subscription": subscription["id"],
            },
            "type": "subscription_details",
        },
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": created,
        "period_start": created,
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": 0,
        "statement_descriptor": None,
        "status": "open",
        "status_transitions": {
            "finalized_at": created,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": due,
        "subtotal_excluding_tax": due,
        "test_clock": None,
        "total": due,
        "total_discount_amounts": [],
        "total_excluding_tax": due,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        "_payment": None,
    }


def add_payment(account: Account, invoice: StripeObject, intent: StripeObject) -> None:
    """Have the invoice paid by the intent, whenever that succeeds."""
    payment = account.add(
        {
            "id": new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "created": now(),
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )
    invoice["_payment"] = payment["id"]
    intent["_invoice"] = invoice["id"]


def mark_paid(emulator: Emulator, account: Account, invoice: StripeObject) -> None:
    """The invoice's intent succeeded, or nothing was due."""
    due = invoice["amount_due"]
    invoice |= {"amount_paid": due, "amount_remaining": 0, "status": "paid"}
    invoice["status_transitions"]["paid_at"] = now()
    payment = account.find(invoice.get("_payment") or "")
    if payment is not None:
        payment |= {"amount_paid": due, "status": "paid"}
        payment["status_transitions"]["paid_at"] = now()
        emulator.emit(account, "invoice_payment.paid", payment)
    for event_type in ("invoice.paid", "invoice.payment_succeeded"):
        emulator.emit(account, event_type, invoice)


def void(emulator: Emulator, account: Account, invoice: StripeObject) -> None:
    """Nobody is to pay the invoice any more, nor its intent."""
    payment = account.get("invoice_payment", invoice["_payment"])
    intent = account.get("payment_intent", payment["payment"]["payment_intent"])
    intents.cancel(emulator, account, intent, "void_invoice")
    payment["status"] = "canceled"
    payment["status_transitions"]["canceled_at"] = now()
    invoice["status"] = "void"
    invoice["status_transitions"]["voided_at"] = now()
    emulator.emit(account, "invoice.voided", invoice)
