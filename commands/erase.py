"""`fulfillment erase`: erases a customer's personal data; the books stay.

docs/data.md says what is erased, what stays, and what to do elsewhere.
"""

from typing import Annotated

import typer
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from commands.terminal import AsJson, By, Yes, answers, confirm, counted, known, print_json, table
from commands.workplace import in_database
from database.erasure import Buyer, FoundOrder, erase, find_orders
from domain.errors import PermanentError
from domain.orders import OPEN_STATES


async def erase_buyer(
    connection: AsyncConnection, buyer: Buyer, *, by: str, dry_run: bool
) -> tuple[FoundOrder, ...]:
    """Erases the personal data of all orders of a customer, or of none.

    Returns:
        The orders that were found, as they were.

    Raises:
        PermanentError: Some of them are still open.
    """
    named = "session" if buyer.session_id else "customer" if buyer.customer_id else "e-mail"
    found = await find_orders(connection, buyer)
    still_open = [order.session_id for order in found if order.state in OPEN_STATES]
    if still_open:
        raise PermanentError(
            "order_open",
            f"still being fulfilled: {', '.join(still_open)}; let it end, or skip what is left "
            "of it. Nothing was erased.",
        )
    if not dry_run:
        await erase(connection, found, by=by, detail=f"found by {named}")
    return found


def _table(found: tuple[FoundOrder, ...]) -> Table:
    made = table("Checkout Session", "State", "Erased before")
    for order in found:
        before = f"{order.erased_at:%Y-%m-%d %H:%M}" if order.erased_at else ""
        made.add_row(order.session_id, order.state, before)
    return made


def main(
    *,
    session: Annotated[str | None, typer.Option(metavar="cs_…", help="Of one order.")] = None,
    customer: Annotated[
        str | None, typer.Option(metavar="cus_…", help="Of all orders of a Stripe customer.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="Of all orders with this address.")] = None,
    by: By,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print which orders.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erases a customer's personal data; amounts, line items and states stay."""
    if [session, customer, email].count(None) != 2:  # noqa: PLR2004 - all but one
        raise typer.BadParameter("name one of --session, --customer and --email")
    if not dry_run:
        confirm(f"Erase what is known of {session or customer or email}, for good?", yes=yes)
    buyer = Buyer(session_id=session, customer_id=customer, email=email)
    by = known(by)
    found = in_database(lambda connection: erase_buyer(connection, buyer, by=by, dry_run=dry_run))
    if as_json:
        print_json([order.model_dump(mode="json") for order in found])
        return
    if found:
        answers().print(_table(found))
    answers().print(f"{'Would erase' if dry_run else 'Erased'} {counted(len(found), 'order')}")
