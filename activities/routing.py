"""Sends activities to the task queue of their concern, where concerns have queues of their own.

A workflow does not know whether they have: that may change while it runs, and its replay must not.
So it is told by the activity's first, local try, which is recorded: it does nothing then, and its
failure names the queue.
"""

from collections.abc import Mapping
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_ELSEWHERE = "elsewhere"


class Routed(Interceptor):
    """Worker interceptor: refuses to run locally what belongs on another queue.

    Args:
        queues: By the name of the activity.
    """

    def __init__(self, queues: Mapping[str, str]) -> None:
        self._queues = queues

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        """Wraps each activity."""
        return _RoutedInbound(next, self._queues)


class _RoutedInbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, queues: Mapping[str, str]) -> None:  # noqa: A002 - Temporal's name
        super().__init__(next)
        self._queues = queues

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - Temporal's names
        about = activity.info()
        queue = self._queues.get(about.activity_type)
        if queue is not None and about.is_local:
            raise ApplicationError(
                f"runs on the task queue {queue}",
                queue,
                type=_ELSEWHERE,
                non_retryable=True,
                # Neither logged nor counted as a failure.
                category=ApplicationErrorCategory.BENIGN,
            )
        return await super().execute_activity(input)


def queue_named_by(error: BaseException) -> str | None:
    """The task queue on which an activity belongs that has failed so; None for other failures."""
    if isinstance(error, ApplicationError) and error.type == _ELSEWHERE:
        return str(error.details[0])
    return None
