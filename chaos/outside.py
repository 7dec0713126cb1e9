"""What the outside world holds of all orders, and how it is read.

Stripe's sessions and refunds, the carrier's parcels, the mails in the inbox, what the merchant's
service was asked; and what the service answers to those whom its orders are for: the merchant's
application about entitlements, software about license keys, customers about downloads, the
merchant about stock. The service's own records of orders and its workflows are not looked at.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import httpx

from chaos.merchant import Merchant
from chaos.site import APP_TOKEN, Site
from chaos.wares import Story
from database.engine import Database
from database.stock import read_stock
from tests.harness.shop import Shop

S = TypeVar("S")
T = TypeVar("T")

AT_ONCE = 8
KEY = re.compile(r"\bCHAOS-[0-9A-Z]{6}-[0-9A-Z]{6}\b")
"""What `chaos.wares.KEY_FORMAT` makes."""
_MESSAGE_ID = re.compile(r"<(?P<session>cs_\w+)\.(?P<name>\w+)[.@]")


@dataclass(frozen=True)
class Sale:
    """A Checkout Session, as Stripe tells of it.

    Attributes:
        session_id: Which one.
        ware: What was in the cart, by its name.
        quantity: How many of it.
        story: How the customer meant to pay; what counts is what follows.
        paid: Whether the money came.
        payments: How many charges succeeded.
        refunded: Whether the money went back.
        lost: Whether the customer was told to wait for a payment that failed in the end.
    """

    session_id: str
    ware: str
    quantity: int
    story: Story
    paid: bool
    payments: int
    refunded: bool = False
    lost: bool = False


@dataclass(frozen=True)
class Parcel:
    """A parcel that the carrier has booked."""

    session_id: str
    pieces: Mapping[str, int]
    tracking_number: str


@dataclass(frozen=True)
class Mail:
    """A mail that came in."""

    message_id: str
    session_id: str
    name: str
    """Which mail it is, such as `receipt`."""
    text: str
    received_at: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Outside:
    """All of it.

    Attributes:
        sales: All sessions that Stripe has.
        parcels: All that the carrier has booked.
        mails: All that came in, the first received first.
        access: What each session's customer may use now, by feature.
        valid_keys: Which license keys of the mails are valid.
        served_files: How many links to files in the mails lead to one, by session.
        calls: The session of each call that the merchant's service has fulfilled, by its ID.
        stock_before: Pieces on hand at the begin, by SKU.
        stock_after: As that, now.
    """

    sales: tuple[Sale, ...]
    parcels: tuple[Parcel, ...] = ()
    mails: tuple[Mail, ...] = ()
    access: Mapping[str, Counter[str]] = field(default_factory=dict)
    valid_keys: frozenset[str] = frozenset()
    served_files: Mapping[str, int] = field(default_factory=dict)
    calls: Mapping[str, str] = field(default_factory=dict)
    stock_before: Mapping[str, int] = field(default_factory=dict)
    stock_after: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Reader:
    """Reads it, from the systems themselves and not through what breaks."""

    site: Site
    shop: Shop
    merchant: Merchant
    http: httpx.AsyncClient

    async def read(self, stock_before: Mapping[str, int]) -> Outside:
        """All of it, as it is now."""
        found = await self._sales()
        mails = await self._mails()
        links = _links(mails, self.site.public_url)
        access = await _each(self._access, found.items())
        keys = {key for mail in mails for key in KEY.findall(mail.text)}
        valid = await _each(self._is_valid, keys)
        served = await _each(self._is_served, (link for _, link in links))
        return Outside(
            sales=tuple(found),
            parcels=await self._parcels(),
            mails=mails,
            access={sale.session_id: grants for sale, grants in zip(found, access, strict=True)},
            valid_keys=frozenset(key for key, good in zip(keys, valid, strict=True) if good),
            served_files=Counter(
                session_id for (session_id, _), good in zip(links, served, strict=True) if good
            ),
            calls=dict(self.merchant.sold),
            stock_before=stock_before,
            stock_after=await self.stock(),
        )

    async def stock(self) -> dict[str, int]:
        """Pieces on hand, as the merchant sees them, by SKU."""
        async with (
            Database(self.site.environment["DATABASE_URL"]) as database,
            database.transaction() as connection,
        ):
            levels = await read_stock(connection)
        return {level.sku: level.on_hand for level in levels}

    async def _sales(self) -> dict[Sale, str]:
        """All sessions of this run, and their customers' addresses."""
        charges = await self._charges()
        sessions = await self.shop.stripe.v1.checkout.sessions.list_async({"limit": 100})
        sales = {}
        async for session in sessions.auto_paging_iter():
            told = session.to_dict()
            if "ware" not in told["metadata"]:
                continue
            of_session = charges.get(told["payment_intent"], [])
            paid = [each for each in of_session if each["status"] == "succeeded"]
            sale = Sale(
                session_id=told["id"],
                ware=told["metadata"]["ware"],
                quantity=int(told["metadata"]["quantity"]),
                story=Story(told["metadata"]["story"]),
                paid=told["payment_status"] == "paid",
                payments=len(paid),
                refunded=any(each["refunded"] for each in paid),
                lost=told["status"] == "complete" and told["payment_status"] == "unpaid",
            )
            sales[sale] = told["customer_email"]
        return sales

    async def _charges(self) -> dict[str, list[dict[str, Any]]]:
        charges: dict[str, list[dict[str, Any]]] = {}
        listed = await self.shop.stripe.v1.charges.list_async({"limit": 100})
        async for charge in listed.auto_paging_iter():
            charges.setdefault(str(charge.payment_intent), []).append(charge.to_dict())
        return charges

    async def _parcels(self) -> tuple[Parcel, ...]:
        booked = await self._get(f"{self.site.urls['Carrier']}/shipments")
        return tuple(
            Parcel(
                session_id=each["reference"].partition(":")[0],
                pieces={item["sku"]: item["quantity"] for item in each["items"]},
                tracking_number=each["tracking_number"],
            )
            for each in booked["shipments"]
            if not each["canceled"]
        )

    async def _mails(self) -> tuple[Mail, ...]:
        api = f"{self.site.urls['Mail inbox']}/api/messages"
        listed = (await self._get(api))["messages"]
        mails = await _each(lambda each: self._get(f"{api}/{each['id']}"), reversed(listed))
        return tuple(_mail(each) for each in mails)

    async def _access(self, sold: tuple[Sale, str]) -> Counter[str]:
        """What a customer may use; each one has bought once, under an address of their own."""
        answer = await self.http.get(
            f"{self.site.public_url}/entitlements",
            params={"email": sold[1]},
            headers={"Authorization": f"Bearer {APP_TOKEN}"},
        )
        answer.raise_for_status()
        return Counter(each["feature"] for each in answer.json()["entitlements"])

    async def _is_valid(self, key: str) -> bool:
        url = f"{self.site.public_url}/licenses/validate"
        answer = await self.http.post(url, json={"key": key})
        return answer.is_success and bool(answer.json()["valid"])

    async def _is_served(self, link: str) -> bool:
        return (await self.http.get(link)).is_success

    async def _get(self, url: str) -> dict[str, Any]:
        answer = await self.http.get(url)
        answer.raise_for_status()
        return dict(answer.json())


def _mail(told: dict[str, Any]) -> Mail:
    named = _MESSAGE_ID.match(told["message_id"])
    return Mail(
        message_id=told["message_id"],
        session_id=named["session"] if named else "",
        name=named["name"] if named else "",
        text=told["text"] or "",
        received_at=datetime.fromisoformat(told["received_at"]).timestamp(),
    )


def _links(mails: Iterable[Mail], public_url: str) -> list[tuple[str, str]]:
    """The links to files, each once, and whose they are."""
    link = re.compile(re.escape(public_url) + r"/downloads/\S+")
    return sorted({(mail.session_id, each) for mail in mails for each in link.findall(mail.text)})


async def _each(ask: Callable[[S], Awaitable[T]], subjects: Iterable[S]) -> list[T]:
    """Asks about each of them, a few at a time."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(subject: S) -> T:
        async with slots:
            return await ask(subject)

    return await asyncio.gather(*map(one, subjects))
