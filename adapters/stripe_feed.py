"""What Stripe has sold, listed: for whoever missed the events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from adapters.stripe_api import PAGE_SIZE, on_account, translated
from domain.checkout import Payment
from domain.money import Money
from domain.reconciliation import SoldPage, SoldSession

_PAYMENT_TOLD_BY = {
    "checkout.session.completed": Payment.PENDING,
    "checkout.session.async_payment_succeeded": Payment.SETTLED,
    "checkout.session.async_payment_failed": Payment.FAILED,
    "checkout.session.expired": Payment.EXPIRED,
}


class StripeFeed:
    """Lists completed sessions and events about sessions, newest first.

    Args:
        client: A client whose key may read Checkout Sessions, events and, for connected
            accounts, accounts.
    """

    def __init__(self, client: stripe.StripeClient) -> None:
        self._stripe = client.v1

    async def completed(self, account: str | None, since: datetime, after: str | None) -> SoldPage:
        """See `activities.ports.SalesFeed`.

        Source: Stripe's API reference, "List all Checkout Sessions".
        """
        params: Any = {
            "status": "complete",
            "created": {"gte": int(since.timestamp())},
            "limit": PAGE_SIZE,
        }
        if after:
            params["starting_after"] = after
        options: Any = on_account(account)
        try:
            page = await self._stripe.checkout.sessions.list_async(params, options)
        except stripe.StripeError as error:
            raise translated(error) from error
        return _page(page, _from_session)

    async def events(
        self,
        account: str | None,
        since: datetime,
        after: str | None,
        *,
        undelivered_only: bool,
    ) -> SoldPage:
        """See `activities.ports.SalesFeed`.

        Source: Stripe's API reference, "List all events", and its page "Process undelivered
        webhook events".
        """
        params: Any = {
            "types": sorted(_PAYMENT_TOLD_BY),
            "created": {"gte": int(since.timestamp())},
            "limit": PAGE_SIZE,
        }
        if undelivered_only:
            params["delivery_success"] = False
        if after:
            params["starting_after"] = after
        options: Any = on_account(account)
        try:
            page = await self._stripe.events.list_async(params, options)
        except stripe.StripeError as error:
            raise translated(error) from error
        return _page(page, _from_event)

    async def accounts(self) -> list[str]:
        """See `activities.ports.SalesFeed`.

        Source: Stripe's API reference, "List all connected accounts".
        """
        try:
            page = await self._stripe.accounts.list_async({"limit": PAGE_SIZE})
            return [account.id async for account in page.auto_paging_iter()]
        except stripe.StripeError as error:
            raise translated(error) from error


def _page(page: Any, read: Any) -> SoldPage:  # noqa: ANN401 - the SDK's lists are generic
    entries = [entry.to_dict() for entry in page.data]
    sessions = []
    unreadable = 0
    for entry in entries:
        try:
            sessions.append(read(entry))
        except (KeyError, TypeError, ValueError, AttributeError):
            # One entry of a form that this code does not know stops no other.
            unreadable += 1
    return SoldPage(
        sessions=tuple(sessions),
        unreadable=unreadable,
        last=entries[-1]["id"] if entries and page.has_more else None,
    )


def _from_session(data: Mapping[str, Any]) -> SoldSession:
    total, currency = data.get("amount_total"), data.get("currency")
    unpaid = data.get("payment_status") == "unpaid"
    return SoldSession(
        id=data["id"],
        payment=Payment.PENDING if unpaid else Payment.SETTLED,
        created=datetime.fromtimestamp(data["created"], UTC),
        mode=data.get("mode"),
        total=Money(amount_minor=total, currency=currency)
        if total is not None and currency
        else None,
    )


def _from_event(data: Mapping[str, Any]) -> SoldSession:
    session = data["data"]["object"]
    payment = _PAYMENT_TOLD_BY[data["type"]]
    if payment is Payment.PENDING and session.get("payment_status") != "unpaid":
        payment = Payment.SETTLED
    return SoldSession(
        id=session["id"],
        payment=payment,
        created=datetime.fromtimestamp(data["created"], UTC),
        mode=session.get("mode"),
    )
