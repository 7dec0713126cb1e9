"""`fulfillment status`: how all orders stand."""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncConnection

from commands.terminal import AsJson, answers, print_json, table
from commands.workplace import in_database
from database.figures import Figures, read_figures
from database.order_list import OrderFilter, count_orders
from database.sweeps import AccountSweep, read_all


class Standing(BaseModel):
    """How all orders stand."""

    model_config = ConfigDict(frozen=True)

    figures: Figures
    need_attention: int
    """Orders of which something waits for an operator."""
    on_hold: int
    sweeps: tuple[AccountSweep, ...]
    """How far reconciliation with each Stripe account has come."""


async def _read(connection: AsyncConnection) -> Standing:
    return Standing(
        figures=await read_figures(connection),
        need_attention=await count_orders(connection, OrderFilter(needs_attention=True)),
        on_hold=await count_orders(connection, OrderFilter(on_hold=True)),
        sweeps=await read_all(connection),
    )


def status(*, as_json: AsJson = False) -> None:
    """Tells how all orders stand."""
    standing = in_database(_read)
    if as_json:
        print_json(standing.model_dump(mode="json"))
        return
    figures = standing.figures
    states = table("Orders", "How many")
    for state, count in figures.orders.items():
        if count:
            states.add_row(state, str(count))
    answers().print(states)
    for label, value in _lines(standing):
        answers().print(f"{label:<28} {value}", markup=False)
    if standing.need_attention:
        answers().print("\nfulfillment list --needs-attention   tells which")


def _lines(standing: Standing) -> list[tuple[str, Any]]:
    figures = standing.figures
    age = timedelta(seconds=round(figures.oldest_unfulfilled_s))
    mails = ", ".join(f"{count} {fate}" for fate, count in figures.failed_mails.items() if count)
    return [
        ("Paid", figures.paid),
        ("Need an operator", standing.need_attention),
        ("Held by an operator", standing.on_hold),
        ("Oldest not delivered, paid", f"{age} ago" if age else "none"),
        ("Mails that failed", mails or "none"),
        *(
            ("Compared with Stripe", f"until {each.swept_until:%Y-%m-%d %H:%M}, {each.name}")
            for each in standing.sweeps
        ),
    ]
