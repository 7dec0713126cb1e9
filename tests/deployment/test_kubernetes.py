"""The manifests of deploy/kubernetes are valid, and agree with docker-compose.yml and the code."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from api.app import create_app
from settings import Settings
from tests.deployment.image import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OPERATORS_ONLY = {
    *("/orders", "/messages", "/codec", "/metrics", "/healthz", "/readyz"),
    *("/licenses/disable", "/entitlements/{entitlement_id}/revoke"),
}
"""What nobody calls from the internet."""


def _objects(file: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / file).read_text()))


FILES = [path.name for path in FOLDER.iterdir() if path.name != "kustomization.yaml"]
OBJECTS = {(each["kind"], each["metadata"]["name"]): each for f in FILES for each in _objects(f)}
WORKLOADS = [("Deployment", "api"), ("Deployment", "worker"), ("Job", "migrate")]


def _pod(workload: tuple[str, str]) -> dict[str, Any]:
    pod: dict[str, Any] = OBJECTS[workload]["spec"]["template"]["spec"]
    return pod


def test_all_files_but_the_examples_are_applied() -> None:
    assert {*KUSTOMIZATION["resources"]} == {file for file in FILES if ".example." not in file}


@pytest.mark.parametrize("key", [key for key in OBJECTS if key[0] != "ScaledObject"], ids=str)
def test_an_object_is_what_kubernetes_asks_for(key: tuple[str, str]) -> None:
    latest = kubernetes_validate.latest_version()
    kubernetes_validate.validate(OBJECTS[key], latest, strict=True)


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_it_runs_what_docker_compose_runs(workload: tuple[str, str]) -> None:
    [container] = _pod(workload)["containers"]
    service = COMPOSE[workload[1]]
    assert container["command"] == service["command"]
    grace_s = service.get("stop_grace_period", "10s").removesuffix("s")
    assert _pod(workload).get("terminationGracePeriodSeconds", 30) >= int(grace_s)


@pytest.mark.parametrize("workload", WORKLOADS, ids=str)
def test_it_may_do_nothing_that_it_need_not(workload: tuple[str, str]) -> None:
    pod = _pod(workload)
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not pod["automountServiceAccountToken"]
    assert container["resources"].keys() == {"requests", "limits"}


def test_its_settings_are_settings_and_its_secrets_all_secrets() -> None:
    settings = OBJECTS["ConfigMap", "fulfillment"]["data"]
    names = {name.lower() for name in settings} - {"forwarded_allow_ips"}
    assert names <= Settings.model_fields.keys()
    secret = OBJECTS["Secret", "fulfillment"]["stringData"]
    temporal_elsewhere = {"temporal_api_key", "temporal_tls_client_key_data"}
    assert set(secret) == set(COMPOSE["api"]["secrets"]) | temporal_elsewhere
    assert not any(secret.values())
    for workload in WORKLOADS:
        mounts = {mount["mountPath"] for mount in _pod(workload)["containers"][0]["volumeMounts"]}
        assert settings["SECRETS_DIR"] in mounts


def test_keda_asks_for_the_queue_that_the_workers_listen_on() -> None:
    spec = OBJECTS["ScaledObject", "worker"]["spec"]
    [trigger] = spec["triggers"]
    assert spec["scaleTargetRef"] == {"name": "worker"}
    asked = {value for name, value in trigger["metadata"].items() if name.endswith("FromEnv")}
    assert asked == {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "TEMPORAL_TASK_QUEUE"}
    assert asked <= OBJECTS["ConfigMap", "fulfillment"]["data"].keys()
    assert "replicas" not in OBJECTS["Deployment", "worker"]["spec"]


def test_selectors_find_the_pods() -> None:
    for (kind, name), each in OBJECTS.items():
        selector = each.get("spec", {}).get(
            "selector" if kind != "NetworkPolicy" else "podSelector"
        )
        if not selector:
            continue
        labels = selector.get("matchLabels", selector)
        pods = [OBJECTS[w]["spec"]["template"]["metadata"]["labels"] for w in WORKLOADS]
        assert labels in pods, (kind, name)


def test_the_internet_reaches_all_that_it_is_for_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "catalog.toml").write_text("")
    webhook_secret = "whsec_VGhlVGVzdHNPd25TdGFuZGFyZFdlYmhvb2tzS2V5"
    settings = Settings.model_validate(
        {
            "stripe_api_key": "sk_test_1234567890",
            "stripe_webhook_secrets": webhook_secret,
            "carrier_webhook_secrets": webhook_secret,
            "mail_webhook_secrets": webhook_secret,
            "database_url": "postgresql://127.0.0.1:1/orders",
            "smtp_url": "smtp://127.0.0.1:1",
            "mail_from": "shop@example.com",
            "carrier_url": "http://127.0.0.1:1",
            "public_url": "http://127.0.0.1:4242",
            "operator_token": "0123456789abcdef",
            "temporal_codec_token": "0123456789abcdef",
            "signing_secrets": "0123456789abcdef0123456789abcdef",
            "catalog_file": tmp_path / "catalog.toml",
        }
    )
    [rule] = OBJECTS["Ingress", "public"]["spec"]["rules"]
    paths = [(path["path"], path["pathType"]) for path in rule["http"]["paths"]]
    served = [*create_app(settings).openapi()["paths"], "/static/app.js"]
    used = set()
    for path in served:
        found = {at for at in paths if path == at[0] or (at[1] == "Prefix" and _under(path, at[0]))}
        operators = any(path == each or _under(path, each) for each in OPERATORS_ONLY)
        assert bool(found) != operators, path
        used |= found
    assert used == set(paths)


def _under(path: str, prefix: str) -> bool:
    return path.startswith(f"{prefix}/")
