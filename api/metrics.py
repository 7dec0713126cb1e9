"""What is counted and measured; Prometheus reads it at /metrics."""

import asyncio
import logging
from collections.abc import Iterable

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from database.engine import Database
from database.figures import Figures, read_figures
from domain.errors import FulfillmentError

logger = logging.getLogger(__name__)

WEBHOOK_EVENTS = Counter(
    "webhook_events_total",
    "Webhook deliveries by event type and what became of them",
    ["type", "outcome"],
)
WEBHOOK_LAG = Histogram(
    "webhook_lag_seconds",
    "From when Stripe made an event until it was accepted here, deliveries again included",
    buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600, 21600, 86400),
)
FIGURES_FOR_S = 15.0
"""For so long what was counted is told again: however many ask, the database counts once."""


class BusinessFigures(Collector):
    """How the business stands, as counted in the database.

    Args:
        database: Where orders are recorded.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._figures: Figures | None = None
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Counts anew what is too old; where the database is away, there are no figures."""
        now = asyncio.get_running_loop().time()
        if now - self._read_at < FIGURES_FOR_S:
            return
        try:
            async with self._database.transaction() as connection:
                self._figures = await read_figures(connection)
        except FulfillmentError as error:
            logger.warning("no figures: %s", error.message)
            self._figures = None
            return
        self._read_at = now

    def collect(self) -> Iterable[Metric]:
        """What `refresh` has counted last."""
        figures = self._figures
        yield GaugeMetricFamily(
            "business_figures_up", "Whether the database could be counted", int(figures is not None)
        )
        if figures is None:
            return
        orders = GaugeMetricFamily("orders", "Orders by state", labels=["state"])
        for state, count in figures.orders.items():
            orders.add_metric([state], count)
        yield orders
        yield CounterMetricFamily("orders_paid", "Orders that were paid", figures.paid)
        yield CounterMetricFamily(
            "orders_fulfilled",
            "Orders that are delivered, or were, or taken back",
            figures.fulfilled,
        )
        yield GaugeMetricFamily(
            "oldest_unfulfilled_order_age_seconds",
            "How long ago the oldest order was paid of which something is not delivered",
            figures.oldest_unfulfilled_s,
        )
        mails = GaugeMetricFamily("failed_emails", "Mails that did not arrive", labels=["fate"])
        for fate, count in figures.failed_mails.items():
            mails.add_metric([fate], count)
        yield mails
