"""What may be bought through `POST /checkout`, and how a lost payment is made again.

Source: Stripe's API reference, "Create a Checkout Session".
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from domain.catalog import Catalog, CheckoutOptions
from domain.checkout import CheckoutMode, CheckoutSession
from domain.errors import PermanentError

REPLACES = "replaces_checkout_session"
"""The metadata key of a session made by `/try-again`: which session it stands in for."""
SHIPPED_KIND = "shipment"
"""The fulfillment kind that needs a shipping address; a test compares it with the registry."""
AUTO_LOCALE = "auto"
_LOCALES = (
    "auto bg cs da de el en en-GB es es-419 et fi fil fr fr-CA hi-IN hr hu id it ja ko lt lv ms mt "
    "nb nl pl pt pt-BR ro ru sk sl sv th tr vi zh zh-HK zh-TW"
)
LOCALES = frozenset(_LOCALES.split())
"""What Checkout speaks; a test compares them with the SDK's."""


class CheckoutRefusedError(PermanentError):
    """A checkout cannot be opened as it was asked for.

    Args:
        code: As for `FulfillmentError`.
        reason: What is wrong, for whoever asked; may quote what they sent, so it is not logged.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, f"a checkout was refused: {code}")
        self.reason = reason


class KeyReusedError(CheckoutRefusedError):
    """The idempotency key belongs to another request of the last day."""

    def __init__(self) -> None:
        super().__init__("key_reused", "this Idempotency-Key belongs to another request")


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class SalePrice(_Value):
    """A price as Stripe has it now."""

    id: str
    product_id: str
    active: bool
    """Whether both the price and its product are."""
    recurring: bool
    metered: bool
    """Its quantity is told later, by usage."""


class WantedItem(_Value):
    """So many pieces at a price."""

    price: str
    quantity: int


class Basket(_Value):
    """What is bought, found to be on sale."""

    mode: CheckoutMode
    items: tuple[tuple[str, int | None], ...]
    """Prices with quantities; None where a price is metered."""
    is_shipped: bool


class NewCheckout(_Value):
    """A Checkout Session to open.

    Attributes:
        landing_url: Where Checkout sends the customer after paying, with Stripe's placeholder.
        is_embedded: Whether it is mounted in a page of the shop, in place of a page of Stripe's.
    """

    basket: Basket
    options: CheckoutOptions
    landing_url: str
    is_embedded: bool = False
    locale: str | None = None
    customer_email: str | None = None
    client_reference_id: str | None = None
    metadata: Mapping[str, str] = {}


class OpenedCheckout(_Value):
    """An open Checkout Session: hosted ones have a URL, embedded ones a client secret."""

    id: str
    url: str | None
    client_secret: str | None


class Replacement(_Value):
    """A session that stands in for another one."""

    id: str
    is_settled: bool
    """Whether it has been paid, or needed no payment."""


class Checkouts(Protocol):
    """Opens Checkout Sessions at Stripe."""

    async def prices(self, price_ids: Collection[str]) -> dict[str, SalePrice]:
        """The prices of these IDs, by ID, without those that Stripe does not know.

        Raises:
            PermanentError: Stripe refuses the request.
            TransientError: Stripe cannot answer now.
        """

    async def open(self, checkout: NewCheckout, idempotency_key: str | None) -> OpenedCheckout:
        """Opens a session; the same key again, for a day at least, answers the same session.

        Raises:
            KeyReusedError: The key belongs to another request.
            CheckoutRefusedError: Stripe refuses it; the reason is Stripe's.
            TransientError: Stripe cannot answer now; it may have opened it all the same.
        """

    async def replacements(self, session: CheckoutSession) -> dict[str, Replacement]:
        """Which session stands in for which, among the later ones of the session's customer.

        Empty where Stripe knows neither customer nor e-mail address of the session.

        Raises:
            PermanentError: Stripe refuses the request.
            TransientError: Stripe cannot answer now.
        """

    async def replace(self, session: CheckoutSession, landing_url: str) -> str:
        """Opens a session for the same things; returns its ID.

        Asked again within a day it answers the same session, in whatever state that is.

        Raises:
            CheckoutRefusedError: It cannot be bought again as it was.
            PermanentError: Stripe refuses the request.
            TransientError: Stripe cannot answer now; it may have opened it all the same.
        """


def basket_of(
    wanted: Sequence[WantedItem], prices: Mapping[str, SalePrice], catalog: Catalog
) -> Basket:
    """What a customer may buy of what they want: only what the catalog lists, at active prices.

    Raises:
        CheckoutRefusedError: With the place of what is not on sale.
    """
    items: list[tuple[str, int | None]] = []
    kinds: set[str] = set()
    for index, item in enumerate(wanted):
        place = f"items.{index}.price"
        price = prices.get(item.price)
        listed = catalog.kinds(price.id, price.product_id) if price else None
        if price is None or listed is None:
            # The same for both: nobody finds out here which prices the account has.
            raise CheckoutRefusedError("not_on_sale", f"{place}: {item.price} is not on sale here")
        if not price.active:
            raise CheckoutRefusedError("inactive", f"{place}: {item.price} is no longer on sale")
        kinds.update(listed)
        items.append((price.id, None if price.metered else item.quantity))
    is_shipped = SHIPPED_KIND in kinds
    if is_shipped and not catalog.checkout.shipping_countries:
        # Without an address the paid order would be stuck: refused before anybody pays.
        raise CheckoutRefusedError(
            "nowhere_to_ship",
            "items: something is to be shipped, and the catalog's [checkout] has no "
            "shipping_countries",
        )
    recurring = any(prices[item.price].recurring for item in wanted)
    return Basket(
        mode=CheckoutMode.SUBSCRIPTION if recurring else CheckoutMode.PAYMENT,
        items=tuple(items),
        is_shipped=is_shipped,
    )


def checkout_locale(asked: str | None) -> str | None:
    """The locale to send to Stripe: what was asked for, or the browser's where Stripe lacks it."""
    return asked if asked is None or asked in LOCALES else AUTO_LOCALE


def last_replacement(
    session: CheckoutSession, replacements: Mapping[str, Replacement]
) -> Replacement | None:
    """Where the chain of sessions that stand in for each other ends, or the paid one in it."""
    last = None
    seen = {session.id}
    following = replacements.get(session.id)
    # Others can write metadata as well: a circle of them ends here too.
    while following is not None and following.id not in seen:
        last = following
        if last.is_settled:
            break
        seen.add(last.id)
        following = replacements.get(last.id)
    return last
