"""Histories of every release replay under today's code."""

import json
import tomllib
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from temporalio.client import WorkflowHistory
from temporalio.contrib.opentelemetry import TracingInterceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Interceptor, Replayer
from temporalio.workflow import NondeterminismError

from tests.replay.record import PATHS, name_of
from workflows.deliver_message import DeliverMessage
from workflows.fulfill_checkout import FulfillCheckout
from workflows.mail_alerts import MailAlerts
from workflows.parcel_news import MailParcelNews
from workflows.reconcile import ReconcileCheckouts
from workflows.refund_order import RefundOrder
from workflows.reverse_checkout import ReverseCheckout
from workflows.send_email import SendEmail

ROOT = Path(__file__).parent.parent.parent
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
HISTORIES = {
    file.stem: file.read_text()
    for file in sorted((Path(__file__).parent / "histories").glob("*.json"))
}


async def _replay(history: str, *interceptors: Interceptor) -> None:
    replayer = Replayer(
        workflows=[
            FulfillCheckout,
            ReconcileCheckouts,
            MailParcelNews,
            SendEmail,
            ReverseCheckout,
            RefundOrder,
            DeliverMessage,
            MailAlerts,
        ],
        data_converter=pydantic_data_converter,
        interceptors=interceptors,
    )
    workflow_id = json.loads(history)["events"][0]["workflowExecutionStartedEventAttributes"][
        "workflowId"
    ]
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, history))


def test_this_release_has_a_history_of_every_path() -> None:
    of_release = {name for name in HISTORIES if name.startswith(f"{VERSION}-")}
    assert of_release == {f"{VERSION}-{name_of(path)}" for path in PATHS}


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_recorded_history_replays(name: str) -> None:
    await _replay(HISTORIES[name])


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_history_of_untraced_orders_replays_where_they_are_traced(name: str) -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer(__name__)
    await _replay(HISTORIES[name], TracingInterceptor(tracer))


async def test_another_sequence_of_steps_does_not_replay() -> None:
    history = json.loads(next(text for name, text in HISTORIES.items() if "mixed" in name))
    markers = [event for event in history["events"] if "markerRecordedEventAttributes" in event]
    # As if the receipt had once been sent before the deliveries.
    one, other = markers[1], markers[-2]
    key = "markerRecordedEventAttributes"
    one[key], other[key] = other[key], one[key]
    with pytest.raises(NondeterminismError):
        await _replay(json.dumps(history))
