"""What became of orders, learned from the Temporal server.

A closed loop waits by a long poll, which the server answers when the workflow has ended: the
same for product and baseline. All times and counts are read once a measurement is over.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.client import Client

from benchmarks.figures import Closed
from benchmarks.pace import Submitted, at_most

AT_ONCE = 8
PATIENCE_S = 120


class Watch:
    """Looks at workflows.

    Args:
        client: A connection to the Temporal server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def finish(self, workflow_id: str) -> None:
        """Waits until a workflow has ended.

        Raises:
            TimeoutError: It is stuck, for example because it waits for an operator.
        """
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._client.get_workflow_handle(workflow_id).result()
        except TimeoutError as error:
            raise TimeoutError(f"{workflow_id} is still open after {PATIENCE_S} s") from error

    async def closed(self, orders: Sequence[Submitted]) -> list[Closed]:
        """Waits until all orders are closed, and tells how each went."""
        return await at_most(AT_ONCE, self._closed, orders)

    async def _closed(self, order: Submitted) -> Closed:
        handle: Any = self._client.get_workflow_handle(order.workflow_id)
        await self.finish(order.workflow_id)
        description = await handle.describe()
        # By the server's clock, which on one machine is ours too.
        closed_at: float = description.close_time.timestamp()
        return Closed(
            acks_ms=order.acks_ms,
            end_to_end_ms=(closed_at - order.sent_at) * 1000,
            closed_at=closed_at,
            events=description.history_length,
        )
