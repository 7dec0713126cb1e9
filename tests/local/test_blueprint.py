"""The description of the stack: what is started, and how the product is configured."""

from pathlib import Path
from typing import Any

import pytest

from local.blueprint import Blueprint, draw
from settings import LocalSettings, Settings

NOTHING_GIVEN: dict[str, Any] = {
    "port": 4242,
    "stripe_api_key": "",
    "stripe_webhook_secrets": "",
    "database_url": "",
    "temporal_address": "",
    "smtp_url": "",
    "carrier_url": "",
    "public_url": "",
    "operator_token": "",
    "app_webhook_url": "",
}


def drawn(folder: Path, **given: str | int) -> Blueprint:
    return draw(LocalSettings(data_dir=folder, **{**NOTHING_GIVEN, **given}))


def names(plan: Blueprint) -> list[set[str]]:
    return [{part.name for part in stage} for stage in plan.stages]


def test_everything_outside_comes_first_then_the_schema_then_the_product(tmp_path: Path) -> None:
    assert names(drawn(tmp_path)) == [
        {"postgres", "temporal", "carrier", "inbox", "merchant", "stripe"},
        {"migrate"},
        {"stock"},
        {"worker", "api"},
    ]


def test_environment_is_what_the_product_accepts(tmp_path: Path) -> None:
    values: dict[str, Any] = drawn(tmp_path).environment
    settings = Settings(**{name.lower(): value for name, value in values.items()})
    assert not settings.livemode
    assert len(settings.stripe_webhook_secrets) == 1
    assert settings.public_url == "http://127.0.0.1:4242"
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}
    assert required <= {name.lower() for name in values}


@pytest.mark.parametrize(
    ("setting", "value", "part", "port"),
    [
        ("database_url", "postgresql://me@db/orders", "postgres", "POSTGRES_PORT"),
        ("temporal_address", "temporal:7233", "temporal", "TEMPORAL_PORT"),
        ("carrier_url", "https://carrier.example.com", "carrier", "CARRIER_PORT"),
        ("smtp_url", "smtps://mail.example.com", "inbox", "SMTP_PORT"),
        ("app_webhook_url", "https://app.example.com/hooks", "merchant", "MERCHANT_PORT"),
    ],
)
def test_what_is_given_is_used_and_not_started(
    tmp_path: Path, setting: str, value: str, part: str, port: str
) -> None:
    plan = drawn(tmp_path, **{setting: value})
    assert part not in names(plan)[0]
    assert port not in plan.ports
    worker = next(part for part in plan.stages[-1] if part.name == "worker")
    assert worker.env[setting.upper()] == value


def test_with_a_stripe_key_there_is_no_emulator_and_no_sample_stock(tmp_path: Path) -> None:
    plan = drawn(tmp_path, stripe_api_key="sk_test_of_a_real_account")
    assert names(plan) == [
        {"postgres", "temporal", "carrier", "inbox", "merchant"},
        {"migrate"},
        {"worker", "api"},
    ]
    assert "Shop" not in plan.urls
    # What the user has set reaches the product as it is.
    assert not {name for name in plan.environment if name.startswith("STRIPE_")}


def test_emulator_signs_with_the_first_secret_given(tmp_path: Path) -> None:
    plan = drawn(tmp_path, stripe_webhook_secrets="whsec_new, whsec_old")
    stripe = next(part for part in plan.stages[0] if part.name == "stripe")
    assert stripe.argv[list(stripe.argv).index("--webhook-secret") + 1] == "whsec_new"
    assert plan.environment["STRIPE_WEBHOOK_SECRETS"] == "whsec_new, whsec_old"


def test_secrets_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first, second = drawn(tmp_path), drawn(tmp_path)
    assert first.environment == second.environment
    other = drawn(tmp_path / "other")
    for name in ("OPERATOR_TOKEN", "STRIPE_WEBHOOK_SECRETS", "DATABASE_URL"):
        assert first.environment[name] != other.environment[name]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and not path.suffix]
    assert len(files) == 14
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_chosen_carrier_is_not_replaced_by_the_local_one(tmp_path: Path) -> None:
    plan = drawn(tmp_path, carrier="easypost")
    assert "carrier" not in names(plan)[0]
    worker = next(part for part in plan.stages[-1] if part.name == "worker")
    assert (worker.env["CARRIER"], worker.env["CARRIER_URL"]) == ("easypost", "")


def test_local_carrier_calls_back_with_what_the_product_verifies(tmp_path: Path) -> None:
    plan = drawn(tmp_path)
    [carrier] = [part for part in plan.stages[0] if part.name == "carrier"]
    told = dict(zip(carrier.argv, carrier.argv[1:], strict=False))
    assert told["--callback-url"] == "http://127.0.0.1:4242/carrier/webhook"
    assert told["--callback-secret"] == plan.environment["CARRIER_WEBHOOK_SECRETS"]
