"""The operators' side of the workflows: see where a step is stuck, and decide about it.

Source: Temporal's documentation, "Workflow message passing", of updates and queries.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import QueryRejectCondition
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import PermanentError, TransientError
from workflows.contract import OperatorDecision, StepView
from workflows.steps import Verdict

ANSWER_TIMEOUT = timedelta(seconds=10)
"""How long a worker may take to answer."""
_PAUSE_S = 0.2
_MET_THE_END = "unexpected workflow task failure"
"""What the server says to an update that meets a signal just as the workflow would end."""


class Operators:
    """What operators say to workflows, and hear from them.

    Args:
        client: A connection to the Temporal server.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    async def steps(self, workflow_id: str) -> tuple[StepView, ...] | None:
        """The steps of a running workflow; None when none of that ID runs.

        Raises:
            TransientError: Temporal, or a worker, does not answer.
        """
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            async with _answered():
                views: tuple[StepView, ...] = await handle.query(
                    "steps",
                    result_type=tuple[StepView, ...],
                    reject_condition=QueryRejectCondition.NOT_OPEN,
                    rpc_timeout=ANSWER_TIMEOUT,
                )
        except WorkflowQueryRejectedError:
            return None
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        return views

    async def decide(
        self, workflow_id: str, verdict: Verdict, decision: OperatorDecision
    ) -> StepView:
        """Passes a decision about a step to its workflow.

        Raises:
            PermanentError: No such workflow runs, or it cannot carry that out, and says why.
            TransientError: Temporal, or a worker, does not answer.
        """
        handle = self._client.get_workflow_handle(workflow_id)
        async with _answered():
            while True:
                try:
                    view: StepView = await handle.execute_update(
                        verdict, decision, result_type=StepView
                    )
                except WorkflowUpdateFailedError as error:
                    raise PermanentError("refused", str(error.cause)) from error
                except RPCError as error:
                    if error.status is RPCStatusCode.NOT_FOUND:
                        raise PermanentError(
                            "no_workflow", f"no workflow {workflow_id} runs: it has no open steps"
                        ) from error
                    if _MET_THE_END not in error.message:
                        raise
                    await asyncio.sleep(_PAUSE_S)
                else:
                    return view


@asynccontextmanager
async def _answered() -> AsyncIterator[None]:
    """Gives up on the block after a while."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT.total_seconds()):
            yield
    except (
        TimeoutError,
        RPCTimeoutOrCancelledError,
        WorkflowUpdateRPCTimeoutOrCancelledError,
    ) as error:
        raise TransientError(
            "no_answer", "no answer in time: does a worker run, and Temporal?"
        ) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise
        raise TransientError(
            "temporal_unavailable", f"Temporal does not answer: {error.message}"
        ) from error
    except RuntimeError as error:
        # A lazy client that has never reached its server.
        raise TransientError("temporal_unavailable", "Temporal does not answer") from error
