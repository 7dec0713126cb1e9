"""The client's side of the workflow: start it, tell it of events, wait for its result."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import cache

from temporalio.client import Client, Interceptor, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.envconfig import ClientConnectConfig
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.reversal_intake import RecordReversalInput
from domain.errors import TransientError
from domain.orders import OrderState
from domain.reversals import ReversalObject
from workflows.contract import (
    EVENT_SIGNAL,
    NEWS_SIGNAL,
    REVERSAL_EVENT_SIGNAL,
    REVERSAL_SIGNAL,
    WORKFLOW,
    CheckoutEvent,
    FulfillCheckoutInput,
    FulfillmentNews,
    FulfillmentResult,
    ReversalRecorded,
)
from workflows.encryption import data_converter
from workflows.reverse_checkout import WORKFLOW as REVERSAL_WORKFLOW

ACCEPT_TIMEOUT = timedelta(seconds=8)
"""Checkout waits ten seconds for a webhook's answer before it redirects the customer."""

# A lazy client that has never reached its server raises RuntimeError.
_UNAVAILABLE = (RPCError, RuntimeError)


async def connect(
    address: str,
    namespace: str,
    *,
    access: ClientConnectConfig | None = None,
    payload_keys: Sequence[bytes] = (),
    interceptors: Sequence[Interceptor] = (),
    lazy: bool = False,
    metrics_address: str = "",
) -> Client:
    """A client that speaks our models; a lazy one connects when it is first used.

    Args:
        address: The server's host and port.
        namespace: In which one.
        access: The API key, the TLS and the metadata that it asks for; None: nothing.
        payload_keys: Encrypt what is kept there; without any it is kept as it is.
        interceptors: See what is asked of the server; workers of this client have them too.
        lazy: Whether it connects only then.
        metrics_address: Where Temporal's SDK tells Prometheus of itself; empty: nowhere.
    """
    shown = access or ClientConnectConfig()
    return await Client.connect(
        address,
        namespace=namespace,
        api_key=shown.get("api_key"),
        tls=shown.get("tls"),
        rpc_metadata=shown.get("rpc_metadata", {}),
        data_converter=data_converter(payload_keys),
        interceptors=interceptors,
        lazy=lazy,
        runtime=_runtime(metrics_address),
    )


@cache
def _runtime(metrics_address: str) -> Runtime:
    """Temporal's own threads, once per process; what they have to say goes to our log."""
    return Runtime(
        telemetry=TelemetryConfig(
            logging=LoggingConfig(
                filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                forwarding=LogForwardingConfig(
                    logger=logging.getLogger("temporalio.core"), append_target_to_name=False
                ),
            ),
            metrics=PrometheusConfig(bind_address=metrics_address) if metrics_address else None,
        )
    )


@asynccontextmanager
async def accepted() -> AsyncIterator[None]:
    """Has Temporal accept what the block asks of it, in time.

    Raises:
        TransientError: It did not.
    """
    try:
        async with asyncio.timeout(ACCEPT_TIMEOUT.total_seconds()):
            yield
    except (*_UNAVAILABLE, TimeoutError) as error:
        raise TransientError(
            "temporal_unavailable", f"Temporal did not accept: {type(error).__name__}"
        ) from error


class Fulfillments:
    """Starts the workflow of a Checkout Session, at most one for ever.

    Args:
        client: A connection to the Temporal server.
        task_queue: Where the workers listen.
    """

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue

    async def trigger(
        self,
        session_id: str,
        event: CheckoutEvent | None = None,
        *,
        account: str | None = None,
        reopen: bool = False,
    ) -> bool:
        """Makes sure that a session is being fulfilled, or was.

        Returns once the Temporal server has stored it durably; no worker need be alive. With
        an event, starting and signaling are one atomic call. A workflow that runs already is
        used, one that has ended is left alone, unless `reopen` is set and it ended without
        fulfilling anything: a payment that failed first may succeed later.

        Args:
            session_id: Which session.
            event: What Stripe said about it.
            account: The connected account that it belongs to; None for our own.
            reopen: Whether to look again at an order that ended unfulfilled.

        Returns:
            Whether it runs now; False when it has ended.

        Raises:
            TransientError: The Temporal server did not accept it in time.
        """
        request = FulfillCheckoutInput(session_id=session_id, account=account, searchable=True)
        signal = (EVENT_SIGNAL, event) if event else None
        async with accepted():
            try:
                await self._start(request, signal, WorkflowIDReusePolicy.REJECT_DUPLICATE)
            except WorkflowAlreadyStartedError:
                if not (reopen and await self._ended_unfulfilled(session_id)):
                    return False
                # The order's rows keep anything from being delivered twice.
                await self._start(request, signal, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
            return True

    async def wake(self, session_id: str, step: str, *, account: str | None) -> None:
        """See `activities.ports.Fulfillments`.

        One that Temporal has lost is started anew, and reads the record by itself; one that has
        ended is left alone.
        """
        request = FulfillCheckoutInput(session_id=session_id, account=account, searchable=True)
        signal = (NEWS_SIGNAL, FulfillmentNews(step=step))
        async with accepted():
            with suppress(WorkflowAlreadyStartedError):
                await self._start(request, signal, WorkflowIDReusePolicy.REJECT_DUPLICATE)

    async def resume(
        self, session_id: str, *, account: str | None, reversal_id: str | None = None
    ) -> bool:
        """See `activities.ports.Fulfillments`."""
        request = FulfillCheckoutInput(session_id=session_id, account=account, searchable=True)
        signal = (REVERSAL_SIGNAL, ReversalRecorded(id=reversal_id)) if reversal_id else None
        async with accepted():
            try:
                await self._start(request, signal, WorkflowIDReusePolicy.REJECT_DUPLICATE)
            except WorkflowAlreadyStartedError:
                if await self._ended_as(session_id) is None:
                    return False
                await self._start(request, signal, WorkflowIDReusePolicy.ALLOW_DUPLICATE)
            return True

    async def notice(
        self, kind: ReversalObject, object_id: str, *, account: str | None, again: bool
    ) -> None:
        """See `activities.ports.Fulfillments`."""
        event = CheckoutEvent(id="none", type="reconciliation")
        reuse = (
            WorkflowIDReusePolicy.ALLOW_DUPLICATE
            if again
            else WorkflowIDReusePolicy.REJECT_DUPLICATE
        )
        with suppress(WorkflowAlreadyStartedError):
            await self._reverse(kind, object_id, event, account, reuse)

    async def resume_reversal(
        self, kind: ReversalObject, object_id: str, *, account: str | None
    ) -> None:
        """See `activities.ports.Fulfillments`."""
        await self._reverse(kind, object_id, None, account, WorkflowIDReusePolicy.ALLOW_DUPLICATE)

    async def reverse(
        self, kind: ReversalObject, object_id: str, event: CheckoutEvent, *, account: str | None
    ) -> None:
        """Has a refund, dispute or fraud warning looked at; one workflow for each, at a time.

        What Stripe says later, such as that a refund has failed, is looked at too.

        Raises:
            TransientError: The Temporal server did not accept it in time.
        """
        await self._reverse(kind, object_id, event, account, WorkflowIDReusePolicy.ALLOW_DUPLICATE)

    async def _reverse(
        self,
        kind: ReversalObject,
        object_id: str,
        event: CheckoutEvent | None,
        account: str | None,
        reuse: WorkflowIDReusePolicy,
    ) -> None:
        async with accepted():
            await self._client.start_workflow(
                REVERSAL_WORKFLOW,
                RecordReversalInput(kind=kind, id=object_id, account=account),
                id=object_id,
                task_queue=self._task_queue,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                static_summary=f"Takes back what a {kind.value.replace('_', ' ')} is about",
                start_signal=REVERSAL_EVENT_SIGNAL if event else None,
                start_signal_args=[event] if event else [],
                rpc_timeout=ACCEPT_TIMEOUT,
            )

    async def _ended_unfulfilled(self, session_id: str) -> bool:
        """Whether a workflow that has ended did so by itself, without fulfilling anything."""
        state = await self._ended_as(session_id)
        return state not in {None, OrderState.FULFILLED, OrderState.REVERSED}

    async def _ended_as(self, session_id: str) -> OrderState | None:
        """How a workflow that has ended left its order; None where an operator has ended it."""
        handle = self._client.get_workflow_handle(session_id, result_type=FulfillmentResult)
        try:
            result: FulfillmentResult = await handle.result()
        except WorkflowFailureError:
            # Canceled or terminated: an operator's word.
            return None
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            # Deleted in between: nothing says that it was fulfilled, but the order's rows.
            return OrderState.UNKNOWN_SESSION
        return result.state

    async def ensure(
        self, session_id: str, *, account: str | None, wake: bool = False, reopen: bool = False
    ) -> bool:
        """See `activities.ports.Fulfillments`."""
        event = CheckoutEvent(id="none", type="reconciliation") if wake else None
        return await self.trigger(session_id, event, account=account, reopen=reopen)

    async def _start(
        self,
        request: FulfillCheckoutInput,
        signal: tuple[str, CheckoutEvent | FulfillmentNews | ReversalRecorded] | None,
        reuse: WorkflowIDReusePolicy,
    ) -> None:
        await self._client.start_workflow(
            WORKFLOW,
            request,
            id=request.session_id,
            task_queue=self._task_queue,
            id_reuse_policy=reuse,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Fulfills a Checkout Session of {request.account or 'our own account'}",
            start_signal=signal[0] if signal else None,
            start_signal_args=signal[1:] if signal else [],
            rpc_timeout=ACCEPT_TIMEOUT,
        )

    async def result(self, session_id: str) -> FulfillmentResult | None:
        """Waits for the end of a session's workflow; None when Temporal cannot tell it.

        Costs the server one long poll and the history nothing.
        """
        handle = self._client.get_workflow_handle(session_id, result_type=FulfillmentResult)
        try:
            result: FulfillmentResult = await handle.result()
        except (*_UNAVAILABLE, WorkflowFailureError):
            return None
        return result

    async def check(self) -> None:
        """Asks the Temporal server for a sign of life.

        Raises:
            TransientError: None came.
        """
        try:
            async with asyncio.timeout(ACCEPT_TIMEOUT.total_seconds()):
                healthy = await self._client.service_client.check_health()
        except (*_UNAVAILABLE, TimeoutError) as error:
            raise TransientError("temporal_unavailable", "Temporal cannot be reached") from error
        if not healthy:
            raise TransientError("temporal_unavailable", "Temporal is not serving")
