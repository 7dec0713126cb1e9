"""What Stripe has sold, listed: for whoever missed the events."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import stripe

from adapters.stripe_api import PAGE_SIZE, on_account, reading
from adapters.stripe_reversals import status_of
from domain.checkout import Payment
from domain.money import Money
from domain.reconciliation import ReversalPage, SeenReversal, SoldPage, SoldSession
from domain.reversals import ReversalObject

_T = TypeVar("_T")

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
        with reading("a list of sessions"):
            page = await self._stripe.checkout.sessions.list_async(params, options)
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
        with reading("a list of events"):
            page = await self._stripe.events.list_async(params, options)
            return _page(page, _from_event)

    async def reversals(
        self, kind: ReversalObject, account: str | None, since: datetime, after: str | None
    ) -> ReversalPage:
        """See `activities.ports.SalesFeed`.

        Source: Stripe's API reference, "List all refunds", "List all disputes" and "List all
        early fraud warnings".
        """
        params: Any = {"created": {"gte": int(since.timestamp())}, "limit": PAGE_SIZE}
        if after:
            params["starting_after"] = after
        options: Any = on_account(account)
        listing: Mapping[ReversalObject, Any] = {
            ReversalObject.REFUND: self._stripe.refunds,
            ReversalObject.DISPUTE: self._stripe.disputes,
            ReversalObject.FRAUD_WARNING: self._stripe.radar.early_fraud_warnings,
        }
        with reading("a list of reversals"):
            page = await listing[kind].list_async(params, options)
            entries, unreadable = _read(page, partial(_seen, kind))
            return ReversalPage(reversals=entries, unreadable=unreadable, last=_last(page))

    async def accounts(self) -> list[str]:
        """See `activities.ports.SalesFeed`.

        Source: Stripe's API reference, "List all connected accounts".
        """
        with reading("a list of accounts"):
            page = await self._stripe.accounts.list_async({"limit": PAGE_SIZE})
            return [account.id async for account in page.auto_paging_iter()]


def _page(page: Any, read: Callable[[Mapping[str, Any]], SoldSession]) -> SoldPage:  # noqa: ANN401 - the SDK's lists are generic
    sessions, unreadable = _read(page, read)
    return SoldPage(sessions=sessions, unreadable=unreadable, last=_last(page))


def _read(page: Any, read: Callable[[Mapping[str, Any]], _T]) -> tuple[tuple[_T, ...], int]:  # noqa: ANN401 - as above
    entries = []
    unreadable = 0
    for entry in page.data:
        try:
            entries.append(read(entry.to_dict()))
        except (KeyError, TypeError, ValueError, AttributeError):
            # One entry of a form that this code does not know stops no other.
            unreadable += 1
    return tuple(entries), unreadable


def _last(page: Any) -> str | None:  # noqa: ANN401 - as above
    return str(page.data[-1].id) if page.data and page.has_more else None


def _seen(kind: ReversalObject, data: Mapping[str, Any]) -> SeenReversal:
    return SeenReversal(id=data["id"], kind=kind, status=status_of(kind, data))


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
