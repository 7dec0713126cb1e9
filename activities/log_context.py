"""Has each line of the log that an activity leads to name the order that it works on."""

from collections.abc import Sequence
from typing import Any

from structlog.contextvars import bound_contextvars
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor


class OrderInLogs(Interceptor):
    """Worker interceptor; what else there is to tell of an activity, `logs` knows by itself."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        """Wraps each activity."""
        return _NamingInbound(next)


class _NamingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - Temporal's names
        with bound_contextvars(**_order_of(input.args)):
            return await super().execute_activity(input)


def _order_of(arguments: Sequence[Any]) -> dict[str, str]:
    """The order that an activity's input names, itself or in its fulfillment."""
    for argument in arguments:
        named = getattr(argument, "fulfillment", argument)
        if session_id := getattr(named, "session_id", None):
            return {"session_id": session_id}
    return {}
