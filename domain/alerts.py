"""What operators are told of by itself: that an order needs them, or has waited for too long."""

from collections.abc import Iterable
from datetime import datetime
from itertools import groupby

from pydantic import BaseModel, ConfigDict

OVERDUE = "overdue"
"""The cause of an alert about an order that was paid long ago and is not delivered."""
MOST_LISTED = 20
"""Orders of one cause that a mail names; the others it counts."""


class Alert(BaseModel):
    """One cause of one step of one order; told once."""

    model_config = ConfigDict(frozen=True)

    id: int
    session_id: str
    step: str
    """Empty where it is about the order as a whole."""
    cause: str
    """A stable word, such as `out_of_stock`, or `OVERDUE`."""
    detail: str
    created_at: datetime


def cause_of(error: str) -> str:
    """The stable word that an error begins with."""
    return error.partition(":")[0].strip()


def subject(alerts: Iterable[Alert]) -> str:
    """What a mail about them is called: how many orders, and why."""
    several = tuple(alerts)
    orders = len({alert.session_id for alert in several})
    causes = ", ".join(sorted({alert.cause for alert in several}))
    return f"{orders} {'order needs' if orders == 1 else 'orders need'} you: {causes}"


def text(alerts: Iterable[Alert], order_url: str) -> str:
    """What the mail says, by cause, and where to look.

    Args:
        alerts: What it tells of.
        order_url: Where an order's workflow is, up to its ID.
    """

    def by(alert: Alert) -> tuple[str, int]:
        return alert.cause, alert.id

    parts = []
    for cause, group in groupby(sorted(alerts, key=by), key=lambda alert: alert.cause):
        several = tuple(group)
        lines = [f"{cause} ({len(several)})", ""]
        for alert in several[:MOST_LISTED]:
            lines += [f"- {alert.step or 'the order'}: {alert.detail}"]
            lines += [f"  {order_url}{alert.session_id}"]
        if len(several) > MOST_LISTED:
            lines += [f"- and {len(several) - MOST_LISTED} more"]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"
