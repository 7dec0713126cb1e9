"""One turn of one system: warm, at a fixed rate, in a closed loop, and through a crash."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.comparison.market import Market, Turn
from benchmarks.comparison.systems import System
from benchmarks.cpu import CpuMeter, CpuUse
from benchmarks.figures import percentile, steady_rate
from benchmarks.pace import Submitted, at_rate, in_closed_loop
from benchmarks.rounds import RATE_PER_S, SETTLE_S, WIDTH

PATIENCE_S = 60
CRASH_PATIENCE_S = 180
"""How long after a crash an order may take until it counts as lost."""
AFTERMATH_S = 2.0
"""How long is waited for effects that come twice."""


class WrongResultError(Exception):
    """Without any crash the orders were not each fulfilled once, so figures mean nothing."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        rounds: How many turns each system has.
        warm_up: Orders of a turn that nobody measures.
        at_rate: Orders at `RATE_PER_S`.
        closed_loop: Orders in the closed loop.
        crash: Orders around the crash.
    """

    rounds: int
    warm_up: int
    at_rate: int
    closed_loop: int
    crash: int

    @property
    def orders(self) -> int:
        """How many orders one turn takes."""
        return self.warm_up + self.at_rate + self.closed_loop + self.crash


FULL = Size(rounds=3, warm_up=64, at_rate=60, closed_loop=256, crash=96)
QUICK = Size(rounds=1, warm_up=32, at_rate=15, closed_loop=96, crash=64)


@dataclass(frozen=True)
class Crash:
    """What a kill -9 in mid-run did.

    Attributes:
        orders: How many there were.
        lost: Orders without a mail after `CRASH_PATIENCE_S`, or without a parcel.
        mailed_twice: Orders whose customers got more than one receipt.
        booked_twice: Orders with more than one parcel.
        called_twice: Orders for which the carrier was called again after it had booked; the
            idempotency key kept it from booking again.
        recovered_s: From the kill to the last mail.
    """

    orders: int
    lost: int
    mailed_twice: int
    booked_twice: int
    called_twice: int
    recovered_s: float


@dataclass(frozen=True)
class Figures:
    """What one turn found.

    Attributes:
        ack_p50_ms: From the sending of a webhook to its 2xx, at the fixed rate.
        ack_p99_ms: The same.
        end_to_end_p50_ms: From the sending of a webhook to the receipt's mail, at the fixed rate.
        end_to_end_p99_ms: The same.
        orders_per_s: In the closed loop.
        loop_ack_p50_ms: In the closed loop.
        cpu_ms: CPU time per order in the closed loop, by who used it.
        others_share: See `CpuUse`; of the closed loop.
        crash: See `Crash`.
    """

    ack_p50_ms: float
    ack_p99_ms: float
    end_to_end_p50_ms: float
    end_to_end_p99_ms: float
    orders_per_s: float
    loop_ack_p50_ms: float
    cpu_ms: Mapping[str, float]
    others_share: float
    crash: Crash


async def measure(
    system: System, market: Market, size: Size, shared: Mapping[str, Sequence[int]]
) -> Figures:
    """Starts a system, measures it, crashes it and stops it.

    Args:
        system: Does not run.
        market: Sells.
        size: How much.
        shared: The processes that all systems use, by name.

    Raises:
        WrongResultError: An effect was missing or there twice, without any crash.
        TimeoutError: An order was stuck, without any crash.
    """
    await system.start()
    try:
        turn = Turn(market, system.webhook_url, await market.sell(size.orders))
        listening = asyncio.create_task(turn.listen())
        try:
            return await _measure(system, market, turn, size, shared)
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
    finally:
        await system.stop()


async def _measure(
    system: System, market: Market, turn: Turn, size: Size, shared: Mapping[str, Sequence[int]]
) -> Figures:
    async with asyncio.timeout(PATIENCE_S):
        warm = await in_closed_loop(turn.submit, turn.finish, size.warm_up, WIDTH)
    await asyncio.sleep(SETTLE_S)
    async with asyncio.timeout(PATIENCE_S):
        rate = await at_rate(turn.submit, size.at_rate, RATE_PER_S)
        await asyncio.gather(*(turn.finish(order.workflow_id) for order in rate))
    await asyncio.sleep(SETTLE_S)
    meter = CpuMeter({**system.pids(), **shared})
    meter.start()
    async with asyncio.timeout(PATIENCE_S):
        loop = await in_closed_loop(turn.submit, turn.finish, size.closed_loop, WIDTH)
    cpu = meter.stop()
    await asyncio.sleep(AFTERMATH_S)
    await _check(market, turn, [*warm, *rate, *loop])
    crash = await _crash(system, market, turn, size.crash)
    return _figures(turn, rate, loop, cpu, crash)


def _figures(
    turn: Turn, rate: Sequence[Submitted], loop: Sequence[Submitted], cpu: CpuUse, crash: Crash
) -> Figures:
    acks_ms = [ack_ms for order in rate for ack_ms in order.acks_ms]
    end_to_end_ms = [
        (turn.mailed_at(order.workflow_id)[0] - order.sent_at) * 1000 for order in rate
    ]
    mailed_at = [turn.mailed_at(order.workflow_id)[0] for order in loop]
    return Figures(
        ack_p50_ms=percentile(acks_ms, 50),
        ack_p99_ms=percentile(acks_ms, 99),
        end_to_end_p50_ms=percentile(end_to_end_ms, 50),
        end_to_end_p99_ms=percentile(end_to_end_ms, 99),
        orders_per_s=steady_rate(mailed_at, edge=WIDTH),
        loop_ack_p50_ms=percentile([ms for order in loop for ms in order.acks_ms], 50),
        cpu_ms={who: seconds * 1000 / len(loop) for who, seconds in cpu.seconds.items()},
        others_share=cpu.others_share,
        crash=crash,
    )


async def _check(market: Market, turn: Turn, orders: Sequence[Submitted]) -> None:
    booked, called_again = await _parcels(market)
    for order in orders:
        mails, parcels = len(turn.mailed_at(order.workflow_id)), booked[order.workflow_id]
        if not mails == parcels == 1 or called_again[order.workflow_id]:
            raise WrongResultError(
                f"{order.workflow_id}: {mails} mails, {parcels} parcels, "
                f"the carrier called again {called_again[order.workflow_id]} times"
            )


async def _crash(system: System, market: Market, turn: Turn, count: int) -> Crash:
    """Kills the system once a third of the orders is mailed."""
    turn.resend_s = CRASH_PATIENCE_S
    submitted: list[Submitted] = []
    finished: list[str] = []
    is_under_way = asyncio.Event()

    async def submit() -> Submitted:
        submitted.append(await turn.submit())
        return submitted[-1]

    async def finish(session_id: str) -> None:
        await turn.finish(session_id)
        finished.append(session_id)
        if len(finished) == count // 3:
            is_under_way.set()

    async def kill() -> float:
        await is_under_way.wait()
        now = time.time()
        await system.crash()
        return now

    killing = asyncio.create_task(kill())

    with suppress(TimeoutError):
        async with asyncio.timeout(CRASH_PATIENCE_S):
            await in_closed_loop(submit, finish, count, WIDTH)
    killed_at = await killing
    await asyncio.sleep(AFTERMATH_S)
    booked, called_again = await _parcels(market)
    ids = [order.workflow_id for order in submitted]
    mails = [turn.mailed_at(session_id) for session_id in ids]
    return Crash(
        orders=count,
        lost=sum(
            not at or not booked[session_id] for session_id, at in zip(ids, mails, strict=True)
        ),
        mailed_twice=sum(len(at) > 1 for at in mails),
        booked_twice=sum(booked[session_id] > 1 for session_id in ids),
        called_twice=sum(called_again[session_id] > 0 for session_id in ids),
        recovered_s=max(at[-1] for at in mails if at) - killed_at,
    )


async def _parcels(market: Market) -> tuple[Counter[str], Counter[str]]:
    """How many parcels each session has, and how often the carrier was called again for it."""
    booked: Counter[str] = Counter()
    called_again: Counter[str] = Counter()
    for parcel in await market.parcels():
        session_id = parcel["reference"].split(":")[0]
        booked[session_id] += 1
        called_again[session_id] += parcel["replays"]
    return booked, called_again
