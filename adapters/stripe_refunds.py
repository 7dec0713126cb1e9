"""Making refunds through Stripe's SDK."""

from typing import Any

import stripe

from adapters.stripe_api import on_account, reading
from domain.refunds import REQUEST_KEY, RefundRequest
from domain.reversals import LINE_ITEMS_KEY, format_lines

_LONGEST_VALUE = 500
"""Characters of a value of metadata. Source: Stripe's API reference, "Metadata"."""


class StripeRefunds:
    """Makes refunds.

    Args:
        client: A client whose key may write refunds, and read Checkout Sessions and, for
            subscriptions, invoice payments.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self._stripe = client.v1

    async def make(
        self, request: RefundRequest, payment_intent_id: str, account: str | None
    ) -> str:
        """See `activities.ports.Refunds`.

        Stripe forgets idempotency keys after a day: what was made before is found by its metadata.

        Source: Stripe's API reference, "Create a refund" and "Idempotent requests".
        """
        options: Any = on_account(account)
        listing: Any = {"payment_intent": payment_intent_id, "limit": 100}
        with reading("a refund"):
            made = await self._stripe.refunds.list_async(listing, options)
            async for each in made.auto_paging_iter():
                if (each.to_dict().get("metadata") or {}).get(REQUEST_KEY) == request.id:
                    return str(each.id)
            created = await self._stripe.refunds.create_async(
                _params(request, payment_intent_id),
                # Under one key Stripe would repeat what it said; after a refusal it is to think
                # again.
                options | {"idempotency_key": f"{request.id}:{request.refusals}"},
            )
            return created.id

    async def payment_of(self, session_id: str, account: str | None) -> str | None:
        """See `activities.ports.Refunds`.

        Source: Stripe's API reference, "The Checkout Session object" and "Invoice Payment".
        """
        options: Any = on_account(account)
        with reading("a session"):
            session = await self._stripe.checkout.sessions.retrieve_async(
                session_id, options=options
            )
            found = session.to_dict()
            if found.get("payment_intent") or not found.get("invoice"):
                return found.get("payment_intent")
            payments = await self._stripe.invoice_payments.list_async(
                {"invoice": found["invoice"], "status": "paid", "limit": 1}, options
            )
            for payment in payments.data:
                paid_by = payment.to_dict()["payment"].get("payment_intent")
                return str(paid_by) if paid_by else None
        return None


def _params(request: RefundRequest, payment_intent_id: str) -> Any:  # noqa: ANN401 - the SDK's own type is a TypedDict
    metadata = {REQUEST_KEY: request.id}
    if request.lines and len(text := format_lines(request.lines)) <= _LONGEST_VALUE:
        # For people: what we go by is our own record of the request.
        metadata[LINE_ITEMS_KEY] = text
    params: dict[str, Any] = {"payment_intent": payment_intent_id, "metadata": metadata}
    if request.amount is not None:
        params["amount"] = request.amount.amount_minor
    if request.reason is not None:
        params["reason"] = request.reason.value
    return params
