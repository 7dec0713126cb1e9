"""Turns our error tree into Temporal's retry rules, in one place for every activity."""

from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, TemporalError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.errors import (
    FulfillmentError,
    HeldError,
    MisconfiguredError,
    PermanentError,
    ReversedError,
    TransientError,
)

MISCONFIGURED = "misconfigured"
"""Marks, in an error's details, what goes on failing until somebody mends a key or a setting."""

_CATEGORY = {
    # That nothing is delivered now is what was asked for: no warning with a traceback.
    ReversedError: ApplicationErrorCategory.BENIGN,
    HeldError: ApplicationErrorCategory.BENIGN,
}


class ErrorTranslator(Interceptor):
    """Worker interceptor: a permanent error is not retried, Retry-After is honored.

    Nor does Temporal retry after a wrong key or setting: the workflow does, slowly and where
    operators see that their help is needed.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - Temporal's name
        """Wraps each activity."""
        return _TranslatingInbound(next)


class _TranslatingInbound(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401 - Temporal's names
        try:
            return await super().execute_activity(input)
        except FulfillmentError as error:
            # Without its cause: vendors' and drivers' own texts quote personal data, and the
            # whole chain would stand in the history.
            misconfigured = isinstance(error, MisconfiguredError)
            raise ApplicationError(
                error.message,
                *((MISCONFIGURED,) if misconfigured else ()),
                type=error.code,
                non_retryable=misconfigured or isinstance(error, PermanentError),
                next_retry_delay=error.retry_after if isinstance(error, TransientError) else None,
                category=_CATEGORY.get(type(error), ApplicationErrorCategory.UNSPECIFIED),
            ) from None
        except TemporalError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, its text stays out of histories
            # A defect: its text may quote what a customer typed. The log has the whole of it.
            activity.logger.exception("a defect in %s", activity.info().activity_type)
            raise ApplicationError(
                f"a defect, see the worker's log: {type(error).__name__}", type="defect"
            ) from None
