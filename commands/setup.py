"""`fulfillment setup`: registers this service at Stripe."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import typer
from pydantic import SecretStr
from rich.console import Console
from rich.text import Text

from adapters.stripe_account import (
    ALL_EVENTS,
    PermissionMissingError,
    StripeAccount,
    WebhookEndpoint,
)
from adapters.stripe_api import API_VERSION, open_stripe
from api.events import handled_events
from commands.addresses import (
    landing_url,
    listen_command,
    stripe_cannot_deliver,
    webhook_url,
)
from commands.described import planned
from commands.partial_settings import read_partially
from commands.terminal import refuse
from domain.catalog import SHIPPING_COUNTRIES, UNASSIGNED, Catalog, CatalogError
from domain.errors import FulfillmentError
from settings import Settings
from workflows.catalog_file import read_catalog
from workflows.fulfillment.shipment import SHIPMENT

NEEDED = (
    "stripe_api_key",
    "stripe_api_base",
    "stripe_webhook_secrets",
    "stripe_connect_accounts",
    "public_url",
    "catalog_file",
)
"""The settings that this command reads; what the others say is no matter here."""

console = Console(highlight=False, soft_wrap=True)


@dataclass(frozen=True, kw_only=True)
class Sale:
    """What a Payment Link sells.

    Attributes:
        ship_to: Countries (ISO 3166-1 alpha-2) to ship to; empty takes the catalog file's.
    """

    price_id: str
    quantity: int
    ship_to: tuple[str, ...]


async def ensure_endpoint(
    account: StripeAccount, settings: Settings, *, connect: bool
) -> str | None:
    """Creates or mends a webhook endpoint, and says what it did.

    Args:
        account: Where.
        settings: The URL is in them.
        connect: Whether it is the one for events of connected accounts.

    Returns:
        The signing secret of an endpoint that was created; Stripe tells it only once.
    """
    url, events = webhook_url(settings), handled_events()
    name = "Connect endpoint" if connect else "Webhook endpoint"
    at_url = await account.endpoints_at(url)
    found = at_url.connect if connect else at_url.own
    if not found:
        created, secret = await account.create_endpoint(url, events, connect=connect)
        _done(f"{name} {created.id} created: {url}")
        _detail(f"sends {', '.join(events)}")
        _detail(f"in API version {API_VERSION}")
        if connect:
            _name_unmarked(at_url.own)
        return secret
    endpoint = found[0]
    differences = _differences(endpoint, events)
    if differences:
        await account.mend_endpoint(endpoint.id, events)
        _done(f"{name} {endpoint.id} mended: {url}")
        for difference in differences:
            _detail(difference)
    else:
        _done(f"{name} {endpoint.id} is right already, nothing changed: {url}")
    if endpoint.api_version != API_VERSION:
        version = endpoint.api_version or "the account's default version"
        _detail(
            f"sends {version}, not {API_VERSION}: harmless, and fixed at Stripe once an"
            " endpoint is made"
        )
    for other in found[1:]:
        _note(f"{other.id} has the same URL, so each event comes twice: harmless; delete one")
    return None


def _differences(endpoint: WebhookEndpoint, events: Sequence[str]) -> list[str]:
    """What is to be changed of an endpoint, in words."""
    differences = []
    if not endpoint.enabled:
        differences.append("enabled again")
    if missing := endpoint.missing(events):
        differences.append(f"sends {', '.join(missing)} as well")
    if superfluous := endpoint.superfluous(events):
        what = "all other events" if ALL_EVENTS in superfluous else ", ".join(superfluous)
        differences.append(f"no longer sends {what}")
    return differences


def _name_unmarked(own: Sequence[WebhookEndpoint]) -> None:
    for endpoint in own:
        if endpoint.mark is None:
            _note(
                f"Stripe does not tell whether {endpoint.id}, at the same URL, is a Connect"
                " endpoint too; if it is, delete it"
            )


async def register(account: StripeAccount, settings: Settings, *, connect: bool) -> None:
    """Sees to the webhook endpoints and prints the line for `.env`."""
    secret = await ensure_endpoint(account, settings, connect=False)
    created = [secret] if secret else []
    if connect:
        secret = await ensure_endpoint(account, settings, connect=True)
        created += [secret] if secret else []
        if not settings.stripe_connect_accounts:
            _note(
                "STRIPE_CONNECT_ACCOUNTS is empty: until it names accounts, or *, their events"
                " are ignored"
            )
    elif settings.stripe_connect_accounts:
        _note("STRIPE_CONNECT_ACCOUNTS is set: --connect registers an endpoint for them too")
    if created:
        kept = map(SecretStr.get_secret_value, settings.stripe_webhook_secrets)
        count = "secret, which is" if len(created) == 1 else "secrets, which are"
        console.print(
            f"\nStripe tells the signing {count} at the end of this line, only now. Put it into"
            " .env and restart the API:\n"
        )
        _copy(f"STRIPE_WEBHOOK_SECRETS={','.join([*kept, *created])}")
    elif not settings.stripe_webhook_secrets:
        _note(
            "STRIPE_WEBHOOK_SECRETS is empty: reveal the endpoint's signing secret in the"
            " Dashboard (Developers, Webhooks), or delete the endpoint and run this again"
        )


async def ensure_payment_link(
    account: StripeAccount, settings: Settings, catalog: Catalog, sale: Sale
) -> None:
    """Creates a Payment Link, unless there is one, and prints its URL."""
    price = (await account.prices([sale.price_id])).get(sale.price_id)
    if price is None:
        refuse(f"--payment-link: Stripe does not know {sale.price_id} in this key's mode")
    kinds = {plan.kind for plan in planned(catalog, price.product, price.id)}
    ship_to = sale.ship_to
    if SHIPMENT.name in kinds and not ship_to:
        ship_to = catalog.checkout.shipping_countries
        if not ship_to:
            refuse(
                f"--payment-link: {price.product.name} is shipped, so Checkout has to ask for an"
                " address: name the countries, as in --ship-to US,DE"
            )
    if UNASSIGNED in kinds:
        _note(
            f"nothing says how {price.product.name} ({price.product.id}) is fulfilled: set its"
            " metadata `fulfillment`, or describe it in catalog.toml"
        )
    landing = landing_url(settings)
    url = await account.payment_link(price.id, sale.quantity, landing, ship_to)
    if url is not None:
        _done(f"Payment Link for {sale.quantity} of {price.product.name} is there already:\n")
    else:
        url = await account.create_payment_link(price.id, sale.quantity, landing, ship_to)
        _done(f"Payment Link for {sale.quantity} of {price.product.name} created:\n")
    _copy(url)


def show_session_call(settings: Settings) -> None:
    """Prints the call that makes a Checkout Session, in Python and for curl."""
    base, landing = settings.stripe_api_base, landing_url(settings)
    is_default = base == Settings.model_fields["stripe_api_base"].default
    options = "" if is_default else f', base_addresses={{"api": "{base}"}}'
    console.print("\nSell with a Checkout Session whose success_url leads back here. In Python:\n")
    _copy(
        "import os, stripe\n\n"
        f'client = stripe.StripeClient(os.environ["STRIPE_API_KEY"]{options})\n'
        "session = client.v1.checkout.sessions.create({\n"
        '    "mode": "payment",\n'
        '    "line_items": [{"price": "price_…", "quantity": 1}],\n'
        f'    "success_url": "{landing}",\n'
        "})\n"
        "print(session.url)"
    )
    console.print("\nor with curl:\n")
    _copy(
        f'curl {base}/v1/checkout/sessions -u "$STRIPE_API_KEY:" \\\n'
        '  -d mode=payment -d "line_items[0][price]=price_…" -d "line_items[0][quantity]=1" \\\n'
        f"  --data-urlencode 'success_url={landing}'"
    )
    console.print("\nFor a link that can be shared: fulfillment setup --payment-link price_…")


def _done(text: str) -> None:
    console.print(Text.assemble(("✓ ", "green"), text))


def _detail(text: str) -> None:
    console.print(Text(f"  {text}", "dim"))


def _note(text: str) -> None:
    console.print(Text.assemble(("! ", "yellow"), text))


def _copy(text: str) -> None:
    """Prints what is to be copied, exactly as it stands."""
    console.print(Text(text, "cyan"))


async def _run(settings: Settings, *, connect: bool, sale: Sale | None) -> None:
    key = settings.stripe_api_key.get_secret_value()
    catalog = read_catalog(settings.catalog_file) if sale else Catalog()
    async with open_stripe(key, api_base=settings.stripe_api_base) as stripe:
        account = StripeAccount(stripe)
        await register(account, settings, connect=connect)
        if sale is not None:
            console.print()
            await ensure_payment_link(account, settings, catalog, sale)
        else:
            show_session_call(settings)


def _settings() -> Settings:
    read = read_partially()
    wrong = [f"  {name.upper()}: {read.problems[name]}" for name in NEEDED if name in read.problems]
    if wrong:
        refuse("\n".join(["Settings are missing or unsafe:", *wrong]))
    if stripe_cannot_deliver(read.values):
        refuse(
            f"PUBLIC_URL: Stripe cannot reach {read.values.public_url}, so it takes no webhook"
            f" endpoint there. Use `{listen_command(read.values)}`, which prints a secret for"
            " STRIPE_WEBHOOK_SECRETS"
        )
    return read.values


def _price_id(word: str) -> str:
    if word.startswith("prod_"):
        raise typer.BadParameter(f"{word} is a product; name one of its prices, price_…")
    if not re.fullmatch(r"[A-Za-z0-9_]+", word):
        raise typer.BadParameter("name a price, price_…")
    return word


def _countries(word: str) -> tuple[str, ...]:
    countries = tuple(part.strip().upper() for part in word.split(","))
    if not SHIPPING_COUNTRIES.issuperset(countries):
        raise typer.BadParameter("must be countries such as US,DE", param_hint="--ship-to")
    return countries


def main(
    *,
    connect: Annotated[
        bool, typer.Option("--connect", help="Also an endpoint for connected accounts.")
    ] = False,
    payment_link: Annotated[
        str | None,
        typer.Option(parser=_price_id, metavar="PRICE", help="Create a Payment Link for a price."),
    ] = None,
    quantity: Annotated[
        int | None, typer.Option(min=1, help="How many pieces the link sells; by default one.")
    ] = None,
    ship_to: Annotated[
        str, typer.Option(metavar="COUNTRY,…", help="Where the link's parcels go: US,DE.")
    ] = "",
) -> None:
    """Registers this service at Stripe; run again, it mends what differs.

    It creates or mends the webhook endpoint PUBLIC_URL/webhook, and then prints how to sell
    through it: the call that makes a Checkout Session or, with --payment-link, a link's URL.
    """
    sale = None
    if payment_link:
        countries = _countries(ship_to) if ship_to else ()
        sale = Sale(price_id=payment_link, quantity=quantity or 1, ship_to=countries)
    elif quantity or ship_to:
        raise typer.BadParameter("--quantity and --ship-to describe a --payment-link PRICE")
    settings = _settings()
    try:
        asyncio.run(_run(settings, connect=connect, sale=sale))
    except CatalogError as error:
        refuse(f"CATALOG_FILE: {error.message}")
    except PermissionMissingError as error:
        refuse(f"{error.message}; lend this command one that may: STRIPE_API_KEY=sk_… before it")
    except FulfillmentError as error:
        refuse(f"{error.message} (at {settings.stripe_api_base})")
