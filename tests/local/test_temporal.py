"""The embedded Temporal server: what it keeps, and for how long."""

from datetime import timedelta
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from local.ports import LOCALHOST, free_port
from local.process import Process
from local.temporal import temporal_part


async def test_closed_workflows_keep_their_id_for_90_days(temporal_address: str) -> None:
    client = await Client.connect(temporal_address)
    answer = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace="default")
    )
    retention = answer.config.workflow_execution_retention_ttl.ToTimedelta()
    assert retention == timedelta(days=90)


async def test_workflows_survive_a_kill(tmp_path: Path) -> None:
    port = free_port()
    part = temporal_part(port=port, ui_port=None, db_file=tmp_path / "temporal.db")
    server = Process(part, tmp_path / "log")
    try:
        server.start()
        server.wait_ready(30)
        client = await Client.connect(f"{LOCALHOST}:{port}")
        await client.start_workflow("AnyWorkflow", id="cs_kept", task_queue="nobody")
        server.kill()
        server.start()
        server.wait_ready(30)
        client = await Client.connect(f"{LOCALHOST}:{port}")
        description = await client.get_workflow_handle("cs_kept").describe()
        assert description.workflow_type == "AnyWorkflow"
    finally:
        server.kill()
