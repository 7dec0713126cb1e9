"""What the whole stack consists of: every process, how it is configured, and in which order.

The only description of it; `make up`, the demo and the tests all run this one.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from domain.shipping import CarrierChoice
from local.kept_secret import kept_secret, kept_webhook_secret
from local.ports import LOCALHOST
from local.postgres import Cluster
from local.process import Part, Process
from local.temporal import temporal_part
from settings import LocalSettings

ROOT = Path(__file__).parent.parent
EMULATOR_KEY = "sk_test_local_stripe_emulator"
"""What the emulator accepts as a key; it only listens on this machine."""
SAMPLE_STOCK = (
    *("MUG-BLUE", "100", "BOOK-PRINT", "100", "TEAPOT-JP", "100"),
    *("PRINT-SIGNED", "0"),
)
"""What the emulator's sample shop sells that has to be shipped: SKU, pieces, SKU, pieces, …"""
WORKER_READY_LINE = "listening on task queue"
WORKER_STOP_TIMEOUT_S = 25.0
"""A bit more than the worker itself gives its running activities."""


@dataclass(kw_only=True)
class Blueprint:
    """A stack that can be started.

    Attributes:
        folder: where its parts keep their data.
        stages: the parts; those of one stage start together, once the stage before answers.
        ports: every port that will be listened on, by the name of its setting.
        urls: where people find what is running, by name.
        environment: the product's settings, as environment variables.
    """

    folder: Path
    stages: list[list[Part]] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def operator_token_file(self) -> Path:
        """Where the made-up operator token is kept."""
        return self.folder / "operator-token"


def draw(settings: LocalSettings, *, only_orders: bool = False) -> Blueprint:
    """The stack that fits the settings: what they name elsewhere is not started here.

    Args:
        settings: Where its parts listen, and what is there already.
        only_orders: Whether nothing goes on beside orders: no application of the merchant's is
            told, and no parcel moves.
    """
    plan = Blueprint(folder=settings.data_dir.resolve())
    api = f"http://{LOCALHOST}:{settings.port}"
    plan.environment |= {
        "PORT": str(settings.port),
        "PUBLIC_URL": settings.public_url or api,
        "DATABASE_URL": settings.database_url,
        "TEMPORAL_ADDRESS": settings.temporal_address,
        "TEMPORAL_NAMESPACE": settings.temporal_namespace,
        "TEMPORAL_PAYLOAD_KEYS": settings.temporal_payload_keys,
        "CARRIER": settings.carrier,
        "CARRIER_URL": settings.carrier_url,
        "SMTP_URL": settings.smtp_url,
        "MAIL_FROM": settings.mail_from,
        "OPERATOR_TOKEN": settings.operator_token or kept_secret(plan.operator_token_file),
        "SIGNING_SECRETS": settings.signing_secrets or kept_secret(plan.folder / "signing-secret"),
        "APP_WEBHOOK_SECRETS": settings.app_webhook_secrets
        or kept_webhook_secret(plan.folder / "app-webhook-secret"),
        "DOWNLOADS_FOLDER": str(settings.downloads_folder or _sample_downloads(plan.folder)),
        "APP_WEBHOOK_URL": settings.app_webhook_url,
        "CARRIER_WEBHOOK_SECRETS": settings.carrier_webhook_secrets
        or kept_webhook_secret(plan.folder / "carrier-webhook-secret"),
        "MAIL_WEBHOOK_SECRETS": settings.mail_webhook_secrets
        or kept_webhook_secret(plan.folder / "mail-webhook-secret"),
    }
    if settings.temporal_codec_token:
        plan.environment["TEMPORAL_CODEC_TOKEN"] = settings.temporal_codec_token
        plan.environment["TEMPORAL_UI_ORIGIN"] = settings.temporal_ui_origin
    stock = []
    outside = []
    if not settings.app_webhook_url and not only_orders:
        outside.append(_merchant(plan, settings))
    if not settings.stripe_api_key:
        outside.append(_stripe(plan, settings, webhook_url=f"{api}/webhook"))
        stock.append(("stock", "-m", "commands", "stock", "set", *SAMPLE_STOCK, "--if-missing"))
    if not settings.smtp_url:
        outside.append(_inbox(plan, settings))
    if settings.carrier is CarrierChoice.HTTP and not settings.carrier_url:
        outside.append(_carrier(plan, settings, moves=not only_orders))
    if not settings.temporal_address:
        outside.append(_temporal(plan, settings))
    if not settings.database_url:
        outside.append(_postgres(plan, settings))
    plan.ports["PORT"] = settings.port
    plan.urls["API"] = f"{api}/docs"
    # From here on the environment is complete.
    migrate = _python("migrate", "-m", "commands", "migrate", env=plan.environment)
    plan.stages += [outside, [migrate]]
    plan.stages += [[_python(*command, env=plan.environment)] for command in stock]
    plan.stages += [[_worker(plan), _api(plan, settings.port)]]
    return plan


def _sample_downloads(folder: Path) -> Path:
    """What the emulator's sample shop sells as a file."""
    downloads = folder / "downloads"
    notes = downloads / "field-notes.txt"
    if not notes.exists():
        downloads.mkdir(parents=True, exist_ok=True)
        notes.write_text("Dawn, by the river: two herons, one otter.\n")
    return downloads


def _postgres(plan: Blueprint, settings: LocalSettings) -> Part:
    port = settings.postgres_port
    cluster = Cluster(plan.folder / "postgres", port)
    plan.ports["POSTGRES_PORT"] = port
    plan.environment["DATABASE_URL"] = cluster.url
    return cluster.part()


def _temporal(plan: Blueprint, settings: LocalSettings) -> Part:
    port, ui_port = settings.temporal_port, settings.temporal_ui_port
    namespace = settings.temporal_namespace
    plan.ports |= {"TEMPORAL_PORT": port, "TEMPORAL_UI_PORT": ui_port}
    plan.environment["TEMPORAL_ADDRESS"] = f"{LOCALHOST}:{port}"
    # Whatever there is for another server, this one speaks no TLS.
    plan.environment["TEMPORAL_TLS"] = "false"
    ui = f"http://{LOCALHOST}:{ui_port}"
    plan.environment["TEMPORAL_UI_URL"] = ui
    plan.urls["Temporal"] = f"{ui}/namespaces/{namespace}/workflows"
    codec = ""
    if settings.temporal_payload_keys:
        # The Web UI shows what the keys encrypt, as operators see it.
        token = settings.temporal_codec_token or kept_secret(plan.folder / "codec-token")
        plan.environment["TEMPORAL_CODEC_TOKEN"] = token
        plan.environment["TEMPORAL_UI_ORIGIN"] = ui
        codec = f"http://{LOCALHOST}:{settings.port}/codec/{token}"
    return temporal_part(
        port=port,
        ui_port=ui_port,
        ui_codec_endpoint=codec,
        namespace=namespace,
        db_file=plan.folder / "temporal.db",
    )


def _carrier(plan: Blueprint, settings: LocalSettings, *, moves: bool) -> Part:
    port = settings.carrier_port
    url = f"http://{LOCALHOST}:{port}"
    plan.ports["CARRIER_PORT"] = port
    plan.environment["CARRIER_URL"] = plan.urls["Carrier"] = url
    secret = plan.environment["CARRIER_WEBHOOK_SECRETS"].split(",")[0].strip()
    callback_url = f"http://{LOCALHOST}:{settings.port}/carrier/webhook"
    callback = ("--callback-url", callback_url, "--callback-secret", secret) if moves else ()
    return _python(
        *("carrier", "-m", "local.carrier", "--port", str(port)),
        *("--file", str(plan.folder / "carrier.db"), *callback),
        health_url=f"{url}/healthz",
    )


def _merchant(plan: Blueprint, settings: LocalSettings) -> Part:
    port = settings.merchant_port
    url = f"http://{LOCALHOST}:{port}"
    plan.ports["MERCHANT_PORT"] = port
    plan.environment["APP_WEBHOOK_URL"] = f"{url}/messages"
    plan.urls["Merchant"] = url
    secret = plan.environment["APP_WEBHOOK_SECRETS"].split(",")[0].strip()
    return _python(
        *("merchant", "-m", "local.merchant", "--port", str(port), "--secret", secret),
        health_url=f"{url}/healthz",
    )


def _inbox(plan: Blueprint, settings: LocalSettings) -> Part:
    port, smtp_port = settings.inbox_port, settings.smtp_port
    url = f"http://{LOCALHOST}:{port}"
    plan.ports |= {"INBOX_PORT": port, "SMTP_PORT": smtp_port}
    plan.environment["SMTP_URL"] = f"smtp://{LOCALHOST}:{smtp_port}"
    plan.urls["Mail inbox"] = url
    return _python(
        *("inbox", "-m", "local.mail_inbox", "--port", str(port)),
        *("--smtp-port", str(smtp_port), "--folder", str(plan.folder / "mail")),
        health_url=f"{url}/healthz",
    )


def _stripe(plan: Blueprint, settings: LocalSettings, webhook_url: str) -> Part:
    port = settings.stripe_emulator_port
    url = f"http://{LOCALHOST}:{port}"
    made_up = f"whsec_{kept_secret(plan.folder / 'webhook-secret')}"
    secrets = settings.stripe_webhook_secrets or made_up
    plan.ports["STRIPE_EMULATOR_PORT"] = port
    plan.urls["Shop"] = url
    plan.environment |= {
        "STRIPE_API_KEY": EMULATOR_KEY,
        "STRIPE_API_BASE": url,
        "STRIPE_WEBHOOK_SECRETS": secrets,
    }
    landing_page = f"{plan.environment['PUBLIC_URL']}/after-checkout"
    merchant = plan.urls.get("Merchant")
    return _python(
        *("stripe", "-m", "stripe_emulator", "--host", LOCALHOST, "--port", str(port)),
        *("--api-key", EMULATOR_KEY),
        *("--webhook-url", webhook_url, "--webhook-secret", secrets.split(",")[0].strip()),
        *("--success-url", landing_page + "?session_id={CHECKOUT_SESSION_ID}"),
        *(("--service-url", f"{merchant}/fulfill") if merchant else ()),
        *("--snapshot", str(plan.folder / "stripe.json")),
        health_url=f"{url}/healthz",
    )


def _worker(plan: Blueprint) -> Part:
    def listens(process: Process) -> bool:
        return WORKER_READY_LINE in process.output()

    return Part(
        name="worker",
        argv=[sys.executable, "worker.py"],
        env=_python_environment(plan.environment),
        cwd=ROOT,
        ready=listens,
        stop_timeout_s=WORKER_STOP_TIMEOUT_S,
    )


def _api(plan: Blueprint, port: int) -> Part:
    return _python(
        *("api", "-m", "uvicorn", "--factory", "api.app:create_app"),
        *("--host", LOCALHOST, "--port", str(port)),
        # Open pages of orders listen for as long as they are let.
        *("--timeout-graceful-shutdown", "2"),
        # As `python -m api` does.
        *("--timeout-keep-alive", "620"),
        env=plan.environment,
        health_url=f"http://{LOCALHOST}:{port}/readyz",
    )


def _python(
    name: str, *arguments: str, env: Mapping[str, str] | None = None, health_url: str | None = None
) -> Part:
    """A Python program of this project; without a health URL it runs to its end."""
    return Part(
        name=name,
        argv=[sys.executable, *arguments],
        env=_python_environment(env or {}),
        cwd=ROOT,
        ready=None if health_url is None else lambda _: _answers(health_url),
    )


def _python_environment(env: Mapping[str, str]) -> dict[str, str]:
    # Unbuffered, so that a program's lines reach its log as they are written.
    return {**env, "PYTHONUNBUFFERED": "1"}


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False
