"""The workflow that delivers one message to the merchant's application; its ID names the message.

Source: the Standard Webhooks specification, "Deliverability and reliability".
"""

from contextlib import suppress
from datetime import timedelta

from pydantic import BaseModel, ConfigDict
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import DeliverMessageInput, DeliverMessageResult, MessageActivities
    from domain.messages import MessageState
    from workflows import options

WORKFLOW = "DeliverMessage"
REDELIVERY_SIGNAL = "redelivery_requested"


class DeliverMessageRequest(BaseModel):
    """Which message."""

    model_config = ConfigDict(frozen=True)

    message_id: str


@workflow.defn(name=WORKFLOW)
class DeliverMessage:
    """Tries until the application takes the message, says that it wants none, or all tries failed.

    An operator who wants it delivered again starts the tries anew.
    """

    def __init__(self) -> None:
        self._is_wanted_again = False

    @workflow.run
    async def run(self, request: DeliverMessageRequest) -> MessageState:
        """Returns how it ended; the message's log has every try."""
        failures = 0
        while True:
            again, self._is_wanted_again = self._is_wanted_again, False
            last = failures == len(options.MESSAGE_DELAYS)
            tried = await self._try(request.message_id, again=again, last=last)
            if self._is_wanted_again:
                failures = 0
                continue
            if tried.state is not MessageState.PENDING:
                return tried.state
            delay = max(_varied(options.MESSAGE_DELAYS[failures]), tried.retry_after or timedelta())
            failures += 1
            with suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self._is_wanted_again, timeout=delay, timeout_summary="try again"
                )
                failures = 0

    @workflow.signal(name=REDELIVERY_SIGNAL, description="Deliver the message now, once more")
    def redelivery_requested(self) -> None:
        """Tries at once, also when the message was delivered before."""
        self._is_wanted_again = True

    async def _try(self, message_id: str, *, again: bool, last: bool) -> DeliverMessageResult:
        return await workflow.execute_activity_method(
            MessageActivities.deliver_message,
            DeliverMessageInput(message_id=message_id, again=again, last=last),
            start_to_close_timeout=options.MESSAGE_TIMEOUT,
            retry_policy=options.RETRY,
        )


def _varied(delay: timedelta) -> timedelta:
    """A little longer, by chance: what failed together is not to come back together."""
    return delay * (1 + options.MESSAGE_JITTER * workflow.random().random())
