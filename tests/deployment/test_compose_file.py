"""docker-compose.yml is valid, complete and careful; test_compose_runs.py runs it."""

import json
import re
from importlib import resources
from typing import Any, get_args

import check_jsonschema
import jsonschema
import pytest
import yaml
from pydantic import SecretStr

from settings import Settings
from tests.deployment.compose_file import read_compose
from tests.deployment.image import ROOT

COMPOSE = read_compose({"PUBLIC_URL": "https://shop.example", "MAIL_FROM": "shop@example.com"})
SERVICES = COMPOSE["services"]
TASKS = {
    name
    for service in SERVICES.values()
    for name, needed in service.get("depends_on", {}).items()
    if needed["condition"] == "service_completed_successfully"
}
"""What runs to its end before something else starts."""
ELSEWHERE = {
    field
    for field in Settings.model_fields
    if re.match("temporal_(tls|api_key|profile|config_file)", field)
}
"""How a Temporal is reached that is not the one of this file."""


def test_it_is_what_the_compose_specification_asks_for() -> None:
    folder = resources.files(check_jsonschema) / "builtin_schemas" / "vendor"
    schema = json.loads((folder / "compose-spec.json").read_text())
    jsonschema.validate(yaml.safe_load((ROOT / "docker-compose.yml").read_text()), schema)


@pytest.mark.parametrize("name", ["PUBLIC_URL", "MAIL_FROM"])
def test_it_does_not_start_without_what_only_the_merchant_knows(name: str) -> None:
    variables = {"PUBLIC_URL": "https://shop.example", "MAIL_FROM": "shop@example.com"}
    del variables[name]
    with pytest.raises(KeyError):
        read_compose(variables)


@pytest.mark.parametrize("name", ["api", "worker"])
def test_every_setting_can_be_set_and_secrets_only_by_file(name: str) -> None:
    raw = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][name]
    secret = {
        field
        for field, info in Settings.model_fields.items()
        if SecretStr in {info.annotation, *get_args(info.annotation)}
    }
    assert set(raw["secrets"]) == secret - ELSEWHERE
    names = {each.lower() for each in raw["environment"]}
    names -= {"forwarded_allow_ips"}  # uvicorn's
    assert names == Settings.model_fields.keys() - secret - ELSEWHERE


def test_every_secret_that_is_used_is_a_file() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert used == COMPOSE["secrets"].keys()
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}


def test_no_default_password_is_in_it() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|TOKEN|SECRET|KEY|PWD", name):
                assert str(value).startswith("/run/secrets")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_pinned_restarted_watched_and_closed_to_others(name: str) -> None:
    service: dict[str, Any] = SERVICES[name]
    version = service["image"].rpartition(":")[2]
    assert "build" in service or re.match(r"v?\d+\.\d+", version)
    assert service["restart"] == ("on-failure" if name in TASKS else "unless-stopped")
    assert ("healthcheck" in service) == (name not in TASKS)
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("name", [name for name, each in SERVICES.items() if "build" in each])
def test_our_own_can_change_nothing(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_all_that_is_waited_for_starts_in_the_same_profiles() -> None:
    for service in SERVICES.values():
        for needed in service.get("depends_on", {}):
            profiles = set(SERVICES[needed].get("profiles", ()))
            assert not profiles or profiles >= set(service["profiles"])


def test_prometheus_looks_at_services_of_it() -> None:
    config = yaml.safe_load((ROOT / "monitoring" / "prometheus.yaml").read_text())
    hosts = set()
    for job in config["scrape_configs"]:
        for static in job.get("static_configs", ()):
            hosts |= {target.partition(":")[0] for target in static["targets"]}
        for looked_up in job.get("dns_sd_configs", ()):
            hosts |= set(looked_up["names"])
    assert hosts == {"api", "worker", "temporal"}
    assert hosts <= SERVICES.keys()
