"""From single orders to the figures of a measurement, and to medians over several."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, quantiles

from benchmarks.cpu import CpuUse


@dataclass(frozen=True)
class Closed:
    """An order that was fulfilled.

    Attributes:
        acks_ms: How long each of its deliveries took to be acknowledged.
        end_to_end_ms: From the sending of the webhook to the end of the workflow.
        closed_at: When the workflow ended, in seconds since 1970.
        events: How many events its history has.
    """

    acks_ms: tuple[float, ...]
    end_to_end_ms: float
    closed_at: float
    events: int


@dataclass(frozen=True)
class Figures:
    """What one measurement found.

    Attributes:
        orders_per_s: See `steady_rate`.
        events: History events per order, on average.
        cpu_ms: CPU time per order, by who used it.
        others_share: See `CpuUse`.
    """

    ack_p50_ms: float
    ack_p99_ms: float
    end_to_end_p50_ms: float
    end_to_end_p99_ms: float
    orders_per_s: float
    events: float
    cpu_ms: Mapping[str, float]
    others_share: float


@dataclass(frozen=True)
class PageFigures:
    """How long after an order's end customers see it: see `benchmarks.pages`."""

    waiting_p50_ms: float
    waiting_p99_ms: float
    open_p50_ms: float
    open_p99_ms: float


def page_figures_of(waiting_ms: Sequence[float], open_ms: Sequence[float]) -> PageFigures:
    """The figures of pages that wait, and of open ones."""
    return PageFigures(
        waiting_p50_ms=percentile(waiting_ms, 50),
        waiting_p99_ms=percentile(waiting_ms, 99),
        open_p50_ms=percentile(open_ms, 50),
        open_p99_ms=percentile(open_ms, 99),
    )


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that so many percent of the values do not exceed, interpolated."""
    return quantiles(values, n=100, method="inclusive")[percent - 1]


def steady_rate(closed_at: Sequence[float], edge: int) -> float:
    """Orders per second, without the first and the last `edge` orders.

    The first ones come out while a closed loop still fills, the last ones while it drains.

    Args:
        closed_at: When each order ended, in seconds, in any order.
        edge: How many to leave out at either end.
    """
    inner = sorted(closed_at)[edge : len(closed_at) - edge]
    return (len(inner) - 1) / (inner[-1] - inner[0])


def figures_of(orders: Sequence[Closed], cpu: CpuUse, edge: int) -> Figures:
    """The figures of one measurement.

    Args:
        orders: All its orders.
        cpu: What all of it took.
        edge: See `steady_rate`.
    """
    acks_ms = [ack_ms for order in orders for ack_ms in order.acks_ms]
    end_to_end_ms = [order.end_to_end_ms for order in orders]
    return Figures(
        ack_p50_ms=percentile(acks_ms, 50),
        ack_p99_ms=percentile(acks_ms, 99),
        end_to_end_p50_ms=percentile(end_to_end_ms, 50),
        end_to_end_p99_ms=percentile(end_to_end_ms, 99),
        orders_per_s=steady_rate([order.closed_at for order in orders], edge),
        events=fmean(order.events for order in orders),
        cpu_ms={who: seconds * 1000 / len(orders) for who, seconds in cpu.seconds.items()},
        others_share=cpu.others_share,
    )


def median_figures(rounds: Sequence[Figures]) -> Figures:
    """Of each figure the median over the rounds."""
    return Figures(
        ack_p50_ms=median(each.ack_p50_ms for each in rounds),
        ack_p99_ms=median(each.ack_p99_ms for each in rounds),
        end_to_end_p50_ms=median(each.end_to_end_p50_ms for each in rounds),
        end_to_end_p99_ms=median(each.end_to_end_p99_ms for each in rounds),
        orders_per_s=median(each.orders_per_s for each in rounds),
        events=median(each.events for each in rounds),
        cpu_ms={who: median(each.cpu_ms[who] for each in rounds) for who in rounds[0].cpu_ms},
        others_share=median(each.others_share for each in rounds),
    )
