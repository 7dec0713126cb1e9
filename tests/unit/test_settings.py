"""Both halves refuse to start on what is missing or unsafe, in one line per problem."""

import base64
import os
import subprocess
import sys
from pathlib import Path

import pytest
from temporalio.service import TLSConfig

from settings import Settings, load
from workflows.fulfillment.registry import KINDS

ROOT = Path(__file__).parent.parent.parent
GOOD = {
    "STRIPE_API_KEY": "sk_test_1234567890",
    "STRIPE_WEBHOOK_SECRETS": "whsec_0123456789abcdef, whsec_fedcba9876543210",
    "DATABASE_URL": "postgresql://user:secret@127.0.0.1:1/orders",
    "SMTP_URL": "smtp://127.0.0.1:1",
    "MAIL_FROM": "shop@example.com",
    "CARRIER_URL": "http://127.0.0.1:1",
    "PUBLIC_URL": "http://127.0.0.1:4242",
    "OPERATOR_TOKEN": "0123456789abcdef",
    "SIGNING_SECRETS": "0123456789abcdef0123456789abcdef",
}
PAYLOAD_KEY = base64.b64encode(bytes(range(32))).decode()
API = ["-c", "from api.app import create_app; create_app()"]
WORKER = ["worker.py"]


def _complaints(program: list[str], folder: Path, **environment: str) -> list[str]:
    """Starts a program on its settings alone; returns what it printed before it gave up."""
    done = subprocess.run(
        [sys.executable, *([str(ROOT / program[0])] if program == WORKER else program)],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("program", [API, WORKER], ids=["api", "worker"])
def test_every_missing_setting_is_named_at_once(program: list[str], tmp_path: Path) -> None:
    assert _complaints(program, tmp_path) == [
        "Settings are missing or unsafe:",
        "  DATABASE_URL: missing",
        "  STRIPE_API_KEY: missing",
        "  SMTP_URL: missing",
        "  MAIL_FROM: missing",
        "  SIGNING_SECRETS: missing",
        "  PUBLIC_URL: missing",
        "  OPERATOR_TOKEN: missing",
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"STRIPE_API_KEY": "pk_test_1"}, "STRIPE_API_KEY: must be a secret or restricted key"),
        ({"STRIPE_WEBHOOK_SECRETS": "secret"}, "STRIPE_WEBHOOK_SECRETS: each signing secret"),
        ({"DATABASE_URL": "sqlite://x"}, "DATABASE_URL: must be a postgresql:// URL"),
        ({"SMTP_URL": "mail.example.com"}, "SMTP_URL: must be smtp://"),
        ({"CARRIER_URL": "ftp://x"}, "CARRIER_URL: must be an http:// or https:// URL"),
        ({"OPERATOR_TOKEN": "short"}, "OPERATOR_TOKEN: must have at least 16 characters"),
        ({"APP_TOKEN": "short"}, "APP_TOKEN: must have at least 16 characters"),
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_"}, "STRIPE_WEBHOOK_SECRETS: each signing secret"),
        ({"STRIPE_WEBHOOK_SECRETS": "whsec_..."}, "STRIPE_WEBHOOK_SECRETS: each signing secret"),
        ({"DATABASE_URL": "postgresql://h:abc/x"}, "DATABASE_URL: must be a postgresql:// URL"),
        ({"SMTP_URL": "smtp://h:abc"}, "SMTP_URL: must be smtp://"),
        ({"CARRIER_URL": "http://h:99999"}, "CARRIER_URL: must be an http:// or https:// URL"),
        ({"SERVICE_HOSTS": "https://api.shop.example"}, "SERVICE_HOSTS: must be hosts"),
        ({"SERVICE_HOSTS": "cafe:443"}, "SERVICE_HOSTS: "),
        ({"SERVICE_HOSTS": "[::1],api.shop.example:443"}, "SERVICE_HOSTS: must be hosts"),
        ({"TEMPORAL_ADDRESS": "nonsense"}, "TEMPORAL_ADDRESS: must be host:port"),
        (
            {"TEMPORAL_CONFIG_FILE": "nowhere.toml"},
            "TEMPORAL_CONFIG_FILE: there is no file nowhere.toml",
        ),
        ({"TEMPORAL_PROFILE": "nobody"}, "TEMPORAL_PROFILE: Profile 'nobody' not found"),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "a", "TEMPORAL_TLS_CLIENT_CERT_DATA": "b"},
            "TEMPORAL_TLS: Invalid configuration: Cannot specify both",
        ),
        (
            {"TEMPORAL_TLS_CLIENT_CERT_PATH": "nowhere.pem"},
            "TEMPORAL_TLS: No such file or directory: nowhere.pem",
        ),
        (
            {
                "TEMPORAL_ADDRESS": "temporal.example.com:7233",
                "TEMPORAL_API_KEY": "secret@",
                "TEMPORAL_TLS": "false",
            },
            "TEMPORAL_TLS: without it TEMPORAL_API_KEY is sent readable by all",
        ),
        ({"WORKER_CONCERNS": "mail"}, "WORKER_CONCERNS: only with SPLIT_TASK_QUEUES"),
        ({"WORKER_CONCERNS": "mails"}, "WORKER_CONCERNS: Input should be 'fulfillment'"),
        ({"TEMPORAL_DEPLOYMENT_NAME": "shop"}, "TEMPORAL_WORKER_BUILD_ID: goes with"),
        ({"TEMPORAL_DEPLOYMENT_NAME": "a.b"}, "TEMPORAL_DEPLOYMENT_NAME: must have no dots"),
        ({"MAIL_FROM": "not an address"}, "MAIL_FROM: must be shop@example.com"),
        ({"MAIL_FROM": "a\nb@c"}, "MAIL_FROM: must be shop@example.com"),
        ({"CARRIER_URL": ""}, "CARRIER_URL: missing"),
        ({"CARRIER": "easypost"}, "CARRIER_API_KEY: missing"),
        (
            {"CARRIER_WEBHOOK_SECRETS": "of-easypost"},
            "CARRIER_WEBHOOK_SECRETS: each secret is whsec_",
        ),
        ({"APP_WEBHOOK_URL": "https://app"}, "APP_WEBHOOK_SECRETS: missing"),
        ({"APP_WEBHOOK_SECRETS": "whsec_c2hvcnQ="}, "APP_WEBHOOK_SECRETS: each secret is whsec_"),
        ({"SIGNING_SECRETS": "short"}, "SIGNING_SECRETS: each secret has at least 32"),
        ({"SHOP_COLOR": "red"}, "SHOP_COLOR: must be a color"),
        ({"PORT": "99999"}, "PORT: Input should be less than or equal to 65535"),
        ({"STRIPE_API_BASE": "http://stripe.example.com"}, "STRIPE_API_BASE: plain http"),
        ({"STRIPE_API_BASE": "http://203.0.113.1"}, "STRIPE_API_BASE: plain http"),
        ({"SECRETS_DIR": "nowhere"}, "SECRETS_DIR: Path does not point to a directory"),
        ({"STRIPE_API_KEY": "sk_live_1"}, "PUBLIC_URL: live orders need https"),
        (
            {"STRIPE_API_KEY": "sk_live_1", "PUBLIC_URL": "https://shop.example.com"},
            "TEMPORAL_PAYLOAD_KEYS: missing; what Temporal keeps of live orders is encrypted",
        ),
        ({"TEMPORAL_PAYLOAD_KEYS": "c2hvcnQ="}, "TEMPORAL_PAYLOAD_KEYS: each key is 32 bytes"),
        (
            {"TEMPORAL_PAYLOAD_KEYS": f"none,{PAYLOAD_KEY}"},
            "TEMPORAL_PAYLOAD_KEYS: each key is 32 bytes",
        ),
        (
            {"STRIPE_API_KEY": "rk_live_1", "STRIPE_API_BASE": "http://127.0.0.1:12111"},
            "STRIPE_API_KEY: a live key is never sent to a local stand-in",
        ),
        (
            {"STRIPE_API_KEY": "sk_live_1", "STRIPE_API_BASE": "http://stripe-emulator:12111"},
            "STRIPE_API_KEY: a live key is never sent to a local stand-in",
        ),
    ],
)
def test_an_unsafe_setting_is_refused(
    change: dict[str, str], complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**GOOD, **change}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as refusal:
        load(Settings)
    lines = str(refusal.value).splitlines()
    assert len(lines) == 2
    assert complaint in lines[1]
    assert "secret@" not in str(refusal.value)


def test_the_api_needs_a_webhook_secret(tmp_path: Path) -> None:
    [line] = _complaints(API, tmp_path, **{**GOOD, "STRIPE_WEBHOOK_SECRETS": ""})
    assert line.startswith("STRIPE_WEBHOOK_SECRETS: missing")


def test_the_worker_refuses_a_broken_catalog(tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text('[products.p]\nfulfillment = "teleport"')
    [line] = _complaints(WORKER, tmp_path, **GOOD, CATALOG_FILE=str(file))
    assert line == f"CATALOG_FILE: p: unknown kind 'teleport'; known: {', '.join(KINDS)}"


@pytest.mark.parametrize(
    ("text", "keys"),
    [("", ()), ("none", ()), (PAYLOAD_KEY, (bytes(range(32)),))],
)
def test_keys_encrypt_unless_it_is_said_that_none_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, keys: tuple[bytes, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**GOOD, "TEMPORAL_PAYLOAD_KEYS": text}.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).payload_keys == keys


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, ""),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4318/"}, "http://all:4318/v1/traces"),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://all:4318",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://traces/otlp",
            },
            "https://traces/otlp",
        ),
    ],
)
def test_traces_go_where_opentelemetrys_variables_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], url: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {**GOOD, **given}.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).traces_url == url


PROFILES = """
[profile.default]
address = "default.example.com:7233"
[profile.cloud]
address = "shop.a2dd6.tmprl.cloud:7233"
namespace = "shop.a2dd6"
api_key = "of-the-profile"
[profile.cloud.grpc_meta]
region = "here"
"""


LOCAL = {"target_host": "127.0.0.1:7233", "namespace": "default"}
CLOUD = {
    "target_host": "shop.a2dd6.tmprl.cloud:7233",
    "namespace": "shop.a2dd6",
    "api_key": "of-the-profile",
    "tls": True,
    "rpc_metadata": {"region": "here"},
}


@pytest.mark.parametrize(
    ("given", "access"),
    [
        ({}, LOCAL),
        ({"TEMPORAL_TLS": "true"}, {**LOCAL, "tls": TLSConfig()}),
        (
            {"TEMPORAL_CONFIG_FILE": "temporal.toml"},
            {**LOCAL, "target_host": "default.example.com:7233"},
        ),
        ({"TEMPORAL_CONFIG_FILE": "temporal.toml", "TEMPORAL_PROFILE": "cloud"}, CLOUD),
        (
            {
                "TEMPORAL_CONFIG_FILE": "temporal.toml",
                "TEMPORAL_PROFILE": "cloud",
                "TEMPORAL_ADDRESS": "10.0.0.1:7233",
                "TEMPORAL_API_KEY": "of-the-environment",
            },
            {**CLOUD, "target_host": "10.0.0.1:7233", "api_key": "of-the-environment"},
        ),
    ],
)
@pytest.mark.parametrize("in_file", [True, False], ids=[".env", "environment"])
def test_temporal_is_reached_by_its_standard_variables_and_profiles(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    given: dict[str, str],
    access: dict[str, object],
    *,
    in_file: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporal.toml").write_text(PROFILES)
    for name, value in {**GOOD, **({} if in_file else given)}.items():
        monkeypatch.setenv(name, value)
    if in_file:
        (tmp_path / ".env").write_text("".join(f"{each}={given[each]}\n" for each in given))
    settings = load(Settings)
    assert settings.temporal_access == access
    # Where it is also stands alone: it is shown, and addresses are made of it.
    assert settings.temporal_address == access["target_host"]
    assert settings.temporal_namespace == access["namespace"]


def test_a_configuration_file_at_home_is_read_only_when_a_profile_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    folder = tmp_path / ".config" / "temporalio"
    folder.mkdir(parents=True)
    (folder / "temporal.toml").write_text(PROFILES)
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).temporal_address == "127.0.0.1:7233"
    monkeypatch.setenv("TEMPORAL_PROFILE", "cloud")
    assert load(Settings).temporal_address == "shop.a2dd6.tmprl.cloud:7233"


@pytest.mark.parametrize("behind_links", [False, True], ids=["compose", "kubernetes"])
def test_secrets_come_as_files_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, behind_links: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "secrets"
    files = folder / "..data" if behind_links else folder
    files.mkdir(parents=True)
    for name, value in {**GOOD, "APP_TOKEN": "", "OPERATOR_TOKEN": "of-the-file-0123456"}.items():
        (files / name.lower()).write_text(f"{value}\n")
        if behind_links:
            (folder / name.lower()).symlink_to(Path("..data") / name.lower())
    monkeypatch.setenv("SECRETS_DIR", str(folder))
    monkeypatch.setenv("OPERATOR_TOKEN", "of-the-environment")
    settings = load(Settings)
    assert settings.operator_token.get_secret_value() == "of-the-environment"
    assert settings.database_url.get_secret_value() == GOOD["DATABASE_URL"]
    assert len(settings.stripe_webhook_secrets) == 2
    assert settings.app_token is None


def test_a_stand_in_in_the_same_network_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    base = "http://stripe-emulator:12111"
    for name, value in {**GOOD, "STRIPE_API_BASE": base}.items():
        monkeypatch.setenv(name, value)
    assert load(Settings).stripe_api_base == base
