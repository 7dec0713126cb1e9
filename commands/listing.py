"""`fulfillment list` and `fulfillment find`: orders, a line each."""

from collections.abc import Sequence
from typing import Annotated

import typer

from commands.dates import Since, Until
from commands.terminal import AsJson, answers, counted, print_json, refuse, table
from commands.workplace import in_database
from database.order_list import OrderFilter, OrderSummary, find_orders, list_orders
from domain.formats import FALLBACK_LOCALE, format_money
from domain.orders import OrderState

_Limit = Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")]


def list_(
    *,
    state: Annotated[
        list[OrderState] | None, typer.Option(help="Only of this state; may be repeated.")
    ] = None,
    needs_attention: Annotated[
        bool, typer.Option("--needs-attention", help="Only what waits for an operator.")
    ] = False,
    on_hold: Annotated[
        bool, typer.Option("--on-hold", help="Only what an operator holds back.")
    ] = False,
    account: Annotated[
        str | None, typer.Option(metavar="acct_…", help="Only of this connected account.")
    ] = None,
    since: Since = None,
    until: Until = None,
    limit: _Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Lists orders, the newest first; what is given has all to be so."""
    wanted = OrderFilter(
        states=tuple(state or ()),
        needs_attention=needs_attention,
        on_hold=on_hold,
        account=account,
        since=since,
        until=until,
    )

    found = in_database(lambda connection: list_orders(connection, wanted, limit))
    _show(found, as_json=as_json)


def find(
    text: Annotated[
        str,
        typer.Argument(
            help="A mail address, cs_…, pi_…, sub_…, cus_…, re_…, your own order number "
            "(client_reference_id), a tracking number or a license key."
        ),
    ],
    *,
    limit: _Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Finds the orders that a text names; exit code 1 when there is none."""
    found = in_database(lambda connection: find_orders(connection, text.strip(), limit))
    if not found and not as_json:
        refuse("no order is named so")
    _show(found, as_json=as_json)
    if not found:
        raise typer.Exit(1)


def _show(found: Sequence[OrderSummary], *, as_json: bool) -> None:
    if as_json:
        print_json([summary.model_dump(mode="json") for summary in found])
        return
    listed = table("Checkout Session", "Created", "Total", "Customer", "State", "What is wrong")
    for each in found:
        listed.add_row(
            each.session_id,
            f"{each.created_at:%Y-%m-%d %H:%M}",
            format_money(each.total, FALLBACK_LOCALE) if each.total else "",
            each.customer_email or "",
            f"{each.state}{', on hold' if each.on_hold else ''}",
            each.problem or ("waits for a person" if each.needs_attention else ""),
        )
    answers().print(listed, markup=False)
    answers().print(counted(len(found), "order"))
