"""`python -m commands.erase --email …`: erases a customer's personal data; the books stay.

docs/data.md says what is erased, what stays, and what to do elsewhere.
"""

import argparse
import asyncio
import sys

from rich.console import Console
from rich.table import Table

from database.engine import Database
from database.erasure import Buyer, FoundOrder, erase, find_orders
from domain.errors import FulfillmentError, PermanentError
from domain.orders import OPEN_STATES
from settings import DatabaseSettings, load


async def erase_buyer(
    database_url: str, buyer: Buyer, *, by: str, dry_run: bool
) -> tuple[FoundOrder, ...]:
    """Erases the personal data of all orders of a customer, or of none.

    Returns:
        The orders that were found, as they were.

    Raises:
        PermanentError: Some of them are still open.
        FulfillmentError: The database does not answer.
    """
    named = "session" if buyer.session_id else "customer" if buyer.customer_id else "e-mail"
    async with Database(database_url) as database, database.transaction() as connection:
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
    table = Table("Checkout Session", "State", "Erased before")
    for order in found:
        before = f"{order.erased_at:%Y-%m-%d %H:%M}" if order.erased_at else ""
        table.add_row(order.session_id, order.state, before)
    return table


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m commands.erase",
        description="Erases a customer's personal data; amounts, line items and states stay.",
    )
    whose = parser.add_mutually_exclusive_group(required=True)
    whose.add_argument("--session", metavar="cs_…", help="of one order")
    whose.add_argument("--customer", metavar="cus_…", help="of all orders of a Stripe customer")
    whose.add_argument("--email", help="of all orders with this address")
    parser.add_argument("--by", metavar="NAME", required=True, help="who erases, for the audit")
    parser.add_argument("--dry-run", action="store_true", help="only print which orders")
    arguments = parser.parse_args()
    buyer = Buyer(
        session_id=arguments.session, customer_id=arguments.customer, email=arguments.email
    )
    database_url = load(DatabaseSettings).database_url.get_secret_value()
    work = erase_buyer(database_url, buyer, by=arguments.by, dry_run=arguments.dry_run)
    try:
        found = asyncio.run(work)
    except FulfillmentError as error:
        sys.exit(f"{error.code}: {error.message}")
    # A session's ID is what one copies: it is not to be cut where the terminal ends.
    answer = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    if found:
        answer.print(_table(found))
    answer.print(f"{len(found)} orders {'would be' if arguments.dry_run else 'were'} erased")


if __name__ == "__main__":
    main()
