"""`fulfillment show`: one order, and all that happened to it."""

from typing import Annotated

import typer
from pydantic import BaseModel, ConfigDict
from rich.table import Table

from commands.addresses import uses_stand_in
from commands.terminal import AsJson, answers, print_json, run, table
from commands.workplace import Workplace, open_workplace
from database.order_list import OrderFilter, OrderSummary, list_orders
from database.order_view import read_order
from database.timeline import TimelineEntry, read_timeline
from domain.errors import PermanentError, TransientError
from domain.formats import FALLBACK_LOCALE, format_money
from domain.orders import Order
from settings import Settings, load
from workflows.contract import StepView


class ShownOrder(BaseModel):
    """All that there is to know of an order."""

    model_config = ConfigDict(frozen=True)

    summary: OrderSummary
    order: Order
    steps: tuple[StepView, ...] | None
    """Of its running workflow; None where none runs, or nobody answers."""
    timeline: tuple[TimelineEntry, ...]
    links: dict[str, str]
    """Where it is elsewhere: its workflow, Stripe's Dashboard, the customer's page."""


async def look(workplace: Workplace, session_id: str) -> ShownOrder:
    """Reads an order.

    Raises:
        PermanentError: There is none.
    """
    async with workplace.database.transaction() as connection:
        order = await read_order(connection, session_id)
        if order is None:
            raise PermanentError("order_unknown", "no order for this Checkout Session")
        [summary] = await list_orders(connection, OrderFilter(session_ids=(session_id,)), 1)
        timeline = await read_timeline(connection, session_id)
    try:
        steps = await workplace.operators.steps(session_id)
    except TransientError:
        # What is recorded is worth showing while Temporal, or the worker, is away.
        steps = None
    return ShownOrder(
        summary=summary,
        order=order,
        steps=steps,
        timeline=timeline,
        links=_links(workplace, order),
    )


def _links(workplace: Workplace, order: Order) -> dict[str, str]:
    settings = workplace.settings
    links = {"Customer's page": workplace.links.own_order(order.session_id, order.account)}
    if settings.workflows_url:
        links["Workflow"] = settings.workflows_url + order.session_id
    if uses_stand_in(settings):
        links["Stripe"] = f"{settings.stripe_api_base}/dashboard"
    elif path := _dashboard_path(order):
        links["Stripe"] = f"https://dashboard.stripe.com/{path}"
    return links


def _dashboard_path(order: Order) -> str | None:
    """Where Stripe's Dashboard shows the payment; None where there was none."""
    if order.payment_intent_id:
        payment = f"payments/{order.payment_intent_id}"
    elif order.subscription_id:
        payment = f"subscriptions/{order.subscription_id}"
    else:
        return None
    mode = () if order.livemode else ("test",)
    return "/".join((*((order.account,) if order.account else ()), *mode, payment))


def show(
    session_id: Annotated[str, typer.Argument(metavar="cs_…", help="Of which Checkout Session.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Shows one order: what is to be delivered, where each step stands, what happened, links."""
    settings = load(Settings)

    async def work() -> ShownOrder:
        async with open_workplace(settings) as workplace:
            return await look(workplace, session_id)

    shown = run(work())
    if as_json:
        print_json(shown.model_dump(mode="json"))
        return
    console = answers()
    for label, value in _head(shown):
        console.print(f"{label:<16} {value}", markup=False)
    console.print(_lines(shown.order))
    if shown.steps:
        console.print(_steps(shown.steps))
    console.print(_timeline(shown.timeline))
    for label, url in shown.links.items():
        console.print(f"{label:<16} {url}", markup=False)


def _head(shown: ShownOrder) -> list[tuple[str, str]]:
    summary, order = shown.summary, shown.order
    attention = ", needs an operator" if summary.needs_attention else ""
    held = ", on hold" if summary.on_hold else ""
    customer = " ".join(text for text in (order.customer_name, order.customer_email) if text)
    rows = {
        "Order": order.session_id,
        "State": f"{order.state}{held}{attention}",
        "What is wrong": summary.problem,
        "Payment": " ".join(
            text
            for text in (
                order.payment_status,
                format_money(order.total, FALLBACK_LOCALE) if order.total else None,
                order.payment_intent_id or order.subscription_id,
            )
            if text
        ),
        "Customer": customer,
        "Your number": order.client_reference_id,
        "Account": order.account,
    }
    return [(label, value) for label, value in rows.items() if value]


def _lines(order: Order) -> Table:
    made = table("Line item", "Pieces", "What", "Delivered as", "State")
    for line in order.lines:
        for item in line.fulfillments:
            state = f"{item.state}{f', {item.reversed} taken back' if item.reversed else ''}"
            made.add_row(line.id, str(line.quantity), line.description, item.kind, state)
    return made


def _steps(steps: tuple[StepView, ...]) -> Table:
    made = table("Step", "State", "Tries", "What is wrong")
    for step in steps:
        made.add_row(step.step, step.state, str(step.tries), step.error or "")
    return made


def _timeline(timeline: tuple[TimelineEntry, ...]) -> Table:
    made = table("When", "What", "Who", "")
    for entry in timeline:
        made.add_row(f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.event, entry.by, entry.detail)
    return made
