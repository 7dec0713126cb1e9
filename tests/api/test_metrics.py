"""What Prometheus reads, and that rules and dashboard ask for nothing else."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from domain.orders import OrderState
from local.ports import free_port
from tests.harness.serving import serving
from tests.harness.shop import ACCESS, MANUAL
from tests.harness.world import World, eventually
from workflows.client import connect

MONITORING = Path(__file__).parent.parent.parent / "monitoring"
RULES = yaml.safe_load((MONITORING / "alert-rules.yaml").read_text())
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
SDK_METRICS_ON_FAILURE = {
    "temporal_workflow_task_execution_failed",
    "temporal_activity_execution_failed",
}
"""Temporal's SDK tells of them once there is something to tell; source: its documentation, "SDK
metrics reference"."""


def _queries() -> Iterator[tuple[str, str]]:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]


QUERIES = dict(_queries())


def _selected(expression: Any) -> Iterator[str]:
    """The names of all metrics that a query reads."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield str(expression.name)
        return
    for part in ("expr", "lhs", "rhs", "vector_selector", "args"):
        inner = getattr(expression, part, None)
        for each in inner if isinstance(inner, list) else [inner]:
            if each is not None:
                yield from _selected(each)


def _names(text: str) -> set[str]:
    """The names of all samples that a process tells, and of the types that it announces."""
    families = list(text_string_to_metric_families(text))
    return {sample.name for family in families for sample in family.samples}


async def _metrics(world: World) -> dict[tuple[str, str], float]:
    text = (await world.api.get("/metrics")).text
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_can_be_read(name: str) -> None:
    assert list(_selected(promql_parser.parse(QUERIES[name])))


def test_every_rule_says_what_is_wrong() -> None:
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
            assert rule["labels"]["severity"] in {"warning", "critical"}
            assert rule["annotations"]["summary"]


def test_no_panel_lies_on_another() -> None:
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


async def test_rules_and_dashboard_ask_for_what_is_told(
    world: World, temporal_address: str
) -> None:
    port = free_port()
    client = await connect(temporal_address, "default", metrics_address=f"127.0.0.1:{port}")
    watched = replace(world, client=client)
    async with watched.worker(), httpx.AsyncClient() as prometheus:
        session_id = await watched.shop.buy(ACCESS)
        await watched.result(session_id)
        await world.api.get(f"/orders/{session_id}")

        async def told() -> set[str] | None:
            names = _names((await prometheus.get(f"http://127.0.0.1:{port}/metrics")).text)
            return names if "temporal_workflow_task_execution_latency_bucket" in names else None

        worker = await eventually(told)
        api = _names((await world.api.get("/metrics")).text)
    asked = {name for query in QUERIES.values() for name in _selected(promql_parser.parse(query))}
    assert asked - SDK_METRICS_ON_FAILURE <= worker | api


async def test_the_business_is_counted(world: World) -> None:
    before = await _metrics(world)
    async with world.worker():
        done = await world.shop.buy(ACCESS)
        await world.result(done)
        refunded = await world.shop.buy(ACCESS)
        await world.result(refunded)
        await world.shop.control("POST", f"/sessions/{refunded}/refund")

        async def taken_back() -> bool | None:
            return (await world.order(refunded)).state is OrderState.REVERSED or None

        await eventually(taken_back)
        stuck = await world.shop.buy({})
        await world.step_in(stuck, "action_required")
        late = await world.shop.buy(MANUAL)
        await world.step_in(late, "awaiting_operator")
        await world.execute(
            "UPDATE fulfillments SET created_at = now() - interval '30 hours' "  # noqa: S608 - our own ID
            f"WHERE session_id = '{late}'"
        )
    # What was counted is told again for a while: another process counts for itself.
    port = free_port()
    async with (
        serving({port: create_app(world.settings)}),
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as other,
    ):
        after = await _metrics(replace(world, api=other))

    def more(name: str, label: str = "") -> float:
        return after[name, label] - before[name, label]

    assert more("orders_paid_total") == 4
    # Also the one whose money went back: Prometheus takes a counter that falls for a new one.
    assert more("orders_fulfilled_total") == 2
    assert more("orders", "action_required") == 1
    assert after["oldest_unfulfilled_order_age_seconds", ""] >= 30 * 3600
    assert after["business_figures_up", ""] == 1


async def test_the_lag_of_webhooks_is_measured(world: World) -> None:
    before = (await _metrics(world)).get(("webhook_lag_seconds_count", ""), 0)
    async with world.worker():
        await world.result(await world.shop.buy(ACCESS))
    told = await _metrics(world)
    assert told["webhook_lag_seconds_count", ""] > before
    assert told["webhook_lag_seconds_sum", ""] >= 0


async def test_no_metric_names_an_order(world: World) -> None:
    async with world.worker():
        session_id = await world.shop.buy(ACCESS)
        await world.result(session_id)
        await world.api.get("/after-checkout", params={"session_id": session_id})
        await world.api.get(f"/orders/{session_id}")
        await world.api.get(f"/downloads/{session_id}")
    text = (await world.api.get("/metrics")).text
    assert session_id not in text
    assert 'handler="/after-checkout"' in text
    assert 'handler="/orders/{session_id}"' in text
