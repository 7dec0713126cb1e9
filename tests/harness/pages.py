"""The pages that links of ours lead customers to, besides the order's own: each is brought about
and named by its URL."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import httpx

from database.backorders import join_queue, leave_queue
from database.downloads import offer
from database.questions import ask, take_defaults, withdraw
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.orders import Question
from domain.shipping import ParcelItem
from tests.harness.paid_orders import record_order
from tests.harness.shop import ACCESS
from tests.harness.world import SIGNING_SECRET, World

STOCK, TO = Question.OUT_OF_STOCK, Question.ADDRESS
DEFAULT_AT = datetime(2031, 5, 9, 12, tzinfo=UTC)
"""Until when a customer may answer."""
FILE = "album.zip"
"""What is sold, and not in the folder."""


class Customer:
    """Somebody who bought in one language, or in none that Checkout knew of.

    Args:
        world: Where.
        checkout_locale: What the Checkout Session says; None where the browser chose.
        accepted: The browser's languages.
    """

    def __init__(self, world: World, checkout_locale: str | None, accepted: str = "") -> None:
        self.world = world
        self.checkout_locale = checkout_locale
        self._links = Links(world.settings.public_url, [SIGNING_SECRET])
        self._headers = {"Accept-Language": accepted}

    async def get(self, url: str) -> httpx.Response:
        """Opens a page."""
        return await self.world.api.get(url, headers=self._headers)

    async def answer(self, url: str, **fields: str) -> httpx.Response:
        """Sends the form of a question, and follows it to the page behind."""
        data = {"token": url.partition("token=")[2], **fields}
        return await self.world.api.post(
            "/answer", data=data, headers=self._headers, follow_redirects=True
        )

    async def order(self, kind: str) -> FulfillmentRef:
        """A paid order of one line item."""
        async with self.world.database.transaction() as connection:
            ref = await record_order(connection, kind, {})
        if self.checkout_locale is not None:
            await self.world.execute(
                f"UPDATE orders SET locale = '{self.checkout_locale}' "  # noqa: S608 - our own ID
                f"WHERE session_id = '{ref.session_id}'"
            )
        return ref

    async def asked(
        self, question: Question, default_at: datetime = DEFAULT_AT
    ) -> tuple[FulfillmentRef, str]:
        """A question about an order, and the link to it."""
        ref = await self.order("shipment")
        async with self.world.database.transaction() as connection:
            await ask(connection, ref, question, default_at)
            if question is STOCK:
                await join_queue(connection, ref, [ParcelItem(sku="X", quantity=1, weight_grams=1)])
        return ref, self._links.answer(ref, question)

    async def bought_file(self, file: str = FILE) -> str:
        """The link to a file that may be loaded once."""
        ref = await self.order("download")
        async with self.world.database.transaction() as connection:
            until = await offer(connection, ref, file, days=1, allowed_each=1, pieces=1)
        return self._links.download(ref, file, until)

    async def expired_file(self) -> str:
        """The link to a file whose time is over."""
        ref = await self.order("download")
        return self._links.download(ref, FILE, datetime.now(UTC) - timedelta(days=1))


Make = Callable[[Customer], Awaitable[str]]
"""Brings a page about; returns its URL."""


async def sold_out(customer: Customer) -> str:
    _, url = await customer.asked(STOCK)
    return url


async def waits(customer: Customer) -> str:
    _, url = await customer.asked(STOCK)
    await customer.answer(url, choice="wait")
    return url


async def refunded(customer: Customer) -> str:
    _, url = await customer.asked(STOCK)
    await customer.answer(url, choice="refund")
    return url


async def refunded_by_default(customer: Customer) -> str:
    ref, url = await customer.asked(STOCK, datetime.now(UTC))
    async with customer.world.database.transaction() as connection:
        await take_defaults(connection, ref)
    return url


async def there_again(customer: Customer) -> str:
    ref, url = await customer.asked(STOCK)
    async with customer.world.database.transaction() as connection:
        await leave_queue(connection, ref)
    return url


async def no_address(customer: Customer) -> str:
    _, url = await customer.asked(TO)
    return url


async def new_address(customer: Customer) -> str:
    _, url = await customer.asked(TO)
    await customer.answer(url, name="Jo", line1="Hauptstr. 5", city="Berlin", country="DE")
    return url


async def withdrawn(customer: Customer) -> str:
    ref, url = await customer.asked(STOCK)
    async with customer.world.database.transaction() as connection:
        await withdraw(connection, ref)
    return url


async def loaded_too_often(customer: Customer) -> str:
    folder = customer.world.settings.downloads_folder
    assert folder is not None
    (folder / "song.mp3").write_bytes(b"music")
    url = await customer.bought_file("song.mp3")
    assert (await customer.get(url)).content == b"music"
    return url


async def file_missing(customer: Customer) -> str:
    return await customer.bought_file()


async def download_revoked(customer: Customer) -> str:
    url = await customer.bought_file()
    await customer.world.execute("UPDATE downloads SET revoked_at = now()")
    return url


async def download_expired(customer: Customer) -> str:
    return await customer.expired_file()


async def not_for_sale(customer: Customer) -> str:
    session = await customer.world.shop.stripe.v1.checkout.sessions.create_async(
        {
            "mode": "setup",
            "currency": "usd",
            "success_url": "https://shop.example",
            "locale": customer.checkout_locale or "auto",
        }
    )
    await customer.world.shop.control("POST", f"/sessions/{session.id}/expire")
    return f"/try-again?session_id={session.id}"


async def unfinished(customer: Customer) -> str:
    shop = customer.world.shop
    locale = customer.checkout_locale or "auto"
    session_id = await shop.checkout(await shop.price(ACCESS), locale=locale)
    return f"/after-checkout?session_id={session_id}"


async def unknown(_customer: Customer) -> str:
    return "/answer?token=x"


async def stripe_away(customer: Customer) -> str:
    fault = {"path": "^/v1/checkout/sessions/", "status": 500, "count": 1}
    await customer.world.shop.control("POST", "/faults", fault)
    return "/try-again?session_id=cs_test_a1b2c3d4e5f6g7h8"
