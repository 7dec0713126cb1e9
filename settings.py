"""The only reader of the environment.

`Settings` is what the product needs wherever it runs; `LocalSettings` is what `make up`
needs on top to run everything on one machine. Both read the environment first, then a file
named `.env`, then the files of SECRETS_DIR; where Temporal is may also stand in a profile of
Temporal's own configuration file. `load` turns anything missing or unsafe into one clear line per
problem.
"""

import os
import re
import sys
from base64 import b64decode
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parseaddr
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, NoReturn, Self, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    DirectoryPath,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)
from temporalio.envconfig import ClientConfigProfile, ClientConnectConfig

from domain.checkout import ForeignSessions
from domain.concerns import Concern
from domain.ids import ALL_ACCOUNTS, is_account_id
from domain.mail import Branding, check_address
from domain.shipping import CarrierChoice

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
MIN_TOKEN_LENGTH = 16
MIN_SIGNING_SECRET_LENGTH = 32
MIN_STANDARD_WEBHOOKS_KEY = 24
MAX_STANDARD_WEBHOOKS_KEY = 64
"""Bytes; source: the Standard Webhooks specification, "Signature scheme"."""
PAYLOAD_KEY_BYTES = 32
UNENCRYPTED = "none"
"""Instead of keys."""
STANDARD_WEBHOOKS_FORM = "each secret is whsec_ and 24 to 64 bytes in base64"
_SIGNING_SECRET = re.compile(r"whsec_[A-Za-z0-9+/=_-]{16,}")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(:\d{1,5})?")
_HOST = re.compile(r"[\w.-]+|[0-9A-Fa-f:]+")
_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


class LogFormat(StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    """For people."""
    JSON = "json"
    """For machines: one object a line."""


class ReceiptSender(StrEnum):
    """Who mails receipts: us, or Stripe by its own setting."""

    SERVICE = "service"
    STRIPE = "stripe"


_Secrets = Annotated[tuple[SecretStr, ...], NoDecode]
"""Given as one comma-separated text."""


class _SecretFiles(SecretsSettingsSource):
    """One file for each setting, named like it; an empty file says nothing."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, key, is_complex = super().get_field_value(field, field_name)
        return value or None, key, is_complex


class _EnvironmentSettings(BaseSettings):
    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    secrets_dir: DirectoryPath | None = None
    """Where secrets are files: one for each setting that the environment does not name."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - of a fixed folder
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Reads the files last; where their folder is, only the environment can say."""
        sources = (init_settings, env_settings, dotenv_settings)
        folder = Path(os.environ.get("SECRETS_DIR", ""))
        if "SECRETS_DIR" not in os.environ or not folder.is_dir():
            return sources
        return (*sources, _SecretFiles(settings_cls, folder))


class _TemporalSettings(_EnvironmentSettings):
    """How Temporal is reached, in the names that its SDKs and its CLI share.

    Source: Temporal's documentation, "Environment configuration".
    """

    temporal_address: str = ""
    temporal_namespace: str = "default"
    temporal_config_file: Path | None = None
    """A file of profiles; unset, and with a profile: temporalio/temporal.toml where the system
    keeps configuration. Neither set: no such file is read."""
    temporal_profile: str = ""
    """Which of its profiles; what is set here or in the environment wins over it."""
    temporal_api_key: SecretStr | None = None
    """Of Temporal Cloud; with one, TLS is used."""
    temporal_tls: bool | None = None
    temporal_tls_server_name: str = ""
    """Whom the server's certificate is to name, where that is not the address."""
    temporal_tls_server_ca_cert_path: Path | None = None
    """Who has signed the server's certificate, where that is no public authority; this and the next
    ones are in PEM, as a file or, in …_DATA, as the text itself."""
    temporal_tls_server_ca_cert_data: str = ""
    temporal_tls_client_cert_path: Path | None = None
    """Our own certificate, for mTLS, and its key."""
    temporal_tls_client_cert_data: str = ""
    temporal_tls_client_key_path: Path | None = None
    temporal_tls_client_key_data: SecretStr | None = None

    @property
    def temporal_access(self) -> ClientConnectConfig:
        """What `temporalio.client.Client.connect` is to be called with.

        Raises:
            ValueError: These settings and the profile don't go together, or a file is not there.
        """
        try:
            return _temporal_profile(self.model_dump()).to_client_connect_config()
        except OSError as error:
            raise ValueError(f"TEMPORAL_TLS: {error.strerror}: {error.filename}") from error

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """As for all settings, and at last the profile."""
        sources = super().settings_customise_sources(
            settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        )
        return *sources, _TemporalProfileSource(settings_cls)

    @model_validator(mode="after")
    def _check_temporal(self) -> Self:
        access = self.temporal_access
        readable = "api_key" in access and access["tls"] is False
        if readable and self.temporal_address.rpartition(":")[0] not in LOOPBACK_HOSTS:
            raise ValueError("TEMPORAL_TLS: without it TEMPORAL_API_KEY is sent readable by all")
        return self


class _TemporalProfileSource(PydanticBaseSettingsSource):
    """What a profile says of address and namespace, which our programs show and compare too."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Unused: the profile is read once for both fields."""
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        """The fields that the profile sets."""
        try:
            profile = _temporal_profile(self.current_state)
        except ValueError:
            # Told by `_check_temporal`, beside whatever else is wrong.
            return {}
        found = {"temporal_address": profile.address, "temporal_namespace": profile.namespace}
        return {name: value for name, value in found.items() if value}


class DatabaseSettings(_EnvironmentSettings):
    """What a command needs that only works on the database."""

    database_url: SecretStr
    """A libpq URL, postgresql://user:password@host/name; embedded under `make up` when empty."""
    database_pool_size: int = Field(default=10, ge=1, le=100)
    """The most connections to it that each process opens."""

    @field_validator("database_url")
    @classmethod
    def _check_database(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        if parts.scheme not in {"postgresql", "postgres"} or not _has_good_port(parts):
            raise ValueError("must be a postgresql:// URL")
        return value


class Settings(DatabaseSettings, _TemporalSettings):
    """What the API and the worker need; each field is an environment variable of that name."""

    stripe_api_key: SecretStr
    """Secret or restricted key: sk_test_…, sk_live_…, rk_test_… or rk_live_…."""
    stripe_api_base: str = "https://api.stripe.com"
    stripe_webhook_secrets: _Secrets = ()
    """Signing secrets, comma-separated: one per webhook endpoint, two while one is rotated."""
    stripe_connect_accounts: Annotated[tuple[str, ...], NoDecode] = ()
    """Connected accounts whose sessions are ours too: acct_…, comma-separated, or * for all."""
    foreign_sessions: ForeignSessions = ForeignSessions.HOLD
    """What happens to a paid session none of whose products says how it is fulfilled."""
    temporal_address: str = "127.0.0.1:7233"
    temporal_task_queue: str = "fulfillment"
    split_task_queues: bool = False
    """Whether shipping and orders' mails have task queues of their own: …-shipping, …-mail."""
    worker_concerns: Annotated[tuple[Concern, ...], NoDecode] = tuple(Concern)
    """Which of the queues this worker serves, comma-separated: fulfillment, shipping, mail."""
    temporal_deployment_name: str = ""
    """With a build ID: workers are versions of this deployment, and Temporal is told which one is
    current. The names are those that Temporal's controller for Kubernetes gives them."""
    temporal_worker_build_id: str = ""
    """What this worker's code is, such as its commit."""
    temporal_payload_keys: _Secrets = ()
    """Comma-separated, 32 bytes in base64 each: encrypt what Temporal keeps. The first one
    encrypts; keep the old ones behind it for as long as Temporal keeps what they have encrypted.
    `none` keeps it readable, also of live orders."""
    temporal_codec_token: SecretStr | None = None
    """Lets the Temporal Web UI and CLI have it decrypted at /codec; empty: nobody may."""
    temporal_ui_origin: str = ""
    """Where the Web UI is, as browsers write it: may call /codec from its pages."""
    mail_jobs_per_second: float = Field(default=0, ge=0)
    """How many mails are sent in a second, by all workers together; 0: as many as come."""
    smtp_url: SecretStr
    """smtp://, smtp+starttls:// or smtps://, with user:password@ where the server wants it."""
    mail_from: str
    carrier: CarrierChoice = CarrierChoice.HTTP
    carrier_url: str = ""
    """The carrier's address; with CARRIER=easypost only set to use a stand-in."""
    carrier_api_key: SecretStr | None = None
    """What the carrier asks of us: a bearer token, or EasyPost's API key."""
    carrier_jobs_per_second: float = Field(default=0, ge=0)
    """How many parcels are booked, canceled or looked up in a second, by all workers together;
    0: as many as come."""
    carrier_webhook_secrets: _Secrets = ()
    """What its tracking callbacks are signed with, comma-separated: whsec_… with CARRIER=http, as
    set there with CARRIER=easypost. Without one there is no address for callbacks."""
    downloads_folder: Path | None = None
    """Where the files of the kind `download` are; the worker and the API both read it."""
    app_webhook_url: str = ""
    """Where the merchant's own application hears of grants, revocations and low stock."""
    app_webhook_secrets: _Secrets = ()
    """whsec_…, comma-separated: sign what is sent to the merchant's services, the first one only,
    and verify what they call back with."""
    service_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts that a product's `webhook_url` may name, comma-separated; empty: any, but at no
    link-local, multicast or unspecified address, nor where a cloud keeps its metadata."""
    app_token: SecretStr | None = None
    """Bearer token with which the merchant's own application checks entitlements."""
    mail_webhook_secrets: _Secrets = ()
    """whsec_…, comma-separated: what bounces and complaints are signed with."""
    receipts: ReceiptSender = ReceiptSender.SERVICE
    """Who mails receipts; `stripe` where the Stripe account does, so that none comes twice."""
    shop_name: str = ""
    shop_logo_url: str = ""
    shop_color: str = "#1a1f36"
    """Of headings and buttons, in mails and pages."""
    shop_support_email: str = ""
    shop_postal_address: str = ""
    """In the foot of every mail and page."""
    shop_language: str = "en"
    """Of mails and pages for customers whose own language is not there."""
    embed_origins: Annotated[tuple[str, ...], NoDecode] = ()
    """The merchant's own sites, https://shop.example, comma-separated: may show the order's page
    in a frame, and read it as JSON."""
    visits_per_minute: int = Field(default=120, ge=0)
    """How many pages of orders, checkouts and answers about license keys one address may ask for;
    0: as many as it likes."""
    signing_secrets: _Secrets
    """Comma-separated: sign the links that customers get and the answers to entitlement checks.
    The first one signs; keep the old one behind it for as long as its links are to work."""
    public_url: str
    """Where customers reach this service; links in mails begin with it."""
    port: int = Field(default=4242, ge=1, le=65535)
    api_drain_seconds: int = Field(default=5, ge=0, le=600)
    """How long the API takes requests after SIGTERM, while /readyz has load balancers leave."""
    log_format: LogFormat = LogFormat.TEXT
    otel_exporter_otlp_endpoint: str = ""
    """An OpenTelemetry collector's address for OTLP over HTTP; empty: there are no traces."""
    otel_exporter_otlp_traces_endpoint: str = ""
    """Instead, with its whole path, where only traces go there."""
    worker_metrics_address: str = ""
    """host:port where the worker tells Prometheus of itself; empty: nowhere."""
    alert_emails: Annotated[tuple[str, ...], NoDecode] = ()
    """Operators' addresses, comma-separated: are mailed what needs them."""
    alert_after_hours: int = Field(default=24, ge=1)
    """How long after its payment an order that is not delivered becomes an alert."""
    temporal_ui_url: str = ""
    """Where operators open the Web UI; the alerts' links begin with it."""
    operator_token: SecretStr
    """Bearer token of the operator API."""
    catalog_file: Path | None = None
    """A catalog.toml that wins over the metadata of Stripe's products."""

    @property
    def payload_keys(self) -> tuple[bytes, ...]:
        """What encrypts what Temporal keeps, the newest first; empty: nothing does."""
        texts = _texts(self.temporal_payload_keys)
        return () if texts == [UNENCRYPTED] else tuple(b64decode(text) for text in texts)

    @property
    def served_queues(self) -> dict[Concern, str]:
        """The task queues that a worker of these settings serves."""
        if not self.split_task_queues:
            return {Concern.FULFILLMENT: self.temporal_task_queue}
        return {each: each.queue(self.temporal_task_queue) for each in self.worker_concerns}

    @property
    def workflows_url(self) -> str:
        """Where a workflow is in the Web UI, up to its ID; empty where nobody says."""
        if not self.temporal_ui_url:
            return ""
        return f"{self.temporal_ui_url}/namespaces/{self.temporal_namespace}/workflows/"

    @property
    def traces_url(self) -> str:
        """Where traces are sent; empty: nowhere, and none are made.

        Source: OpenTelemetry's specification, "OpenTelemetry Protocol Exporter".
        """
        base = self.otel_exporter_otlp_endpoint
        return self.otel_exporter_otlp_traces_endpoint or (f"{base}/v1/traces" if base else "")

    @property
    def branding(self) -> Branding:
        """What mails and pages show of the shop."""
        return Branding(
            name=self.shop_name,
            logo_url=self.shop_logo_url,
            color=self.shop_color,
            support_email=self.shop_support_email,
            postal_address=self.shop_postal_address,
        )

    @property
    def livemode(self) -> bool:
        """Whether the key works on real money; a session of the other mode is not ours."""
        return "_live_" in self.stripe_api_key.get_secret_value()

    @field_validator(
        "stripe_webhook_secrets",
        "stripe_connect_accounts",
        "carrier_webhook_secrets",
        "app_webhook_secrets",
        "service_hosts",
        "mail_webhook_secrets",
        "signing_secrets",
        "temporal_payload_keys",
        "embed_origins",
        "alert_emails",
        "worker_concerns",
        mode="before",
    )
    @classmethod
    def _split_list(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("stripe_api_key")
    @classmethod
    def _check_key(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(
            ("sk_test_", "sk_live_", "rk_test_", "rk_live_")
        ):
            raise ValueError("must be a secret or restricted key (sk_… or rk_…)")
        return value

    @field_validator("app_webhook_secrets", "mail_webhook_secrets")
    @classmethod
    def _check_standard_webhooks(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_is_standard_webhooks(secret) for secret in value):
            raise ValueError(STANDARD_WEBHOOKS_FORM)
        return value

    @field_validator("signing_secrets")
    @classmethod
    def _check_signing(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not value or any(
            len(secret.get_secret_value()) < MIN_SIGNING_SECRET_LENGTH for secret in value
        ):
            raise ValueError(f"each secret has at least {MIN_SIGNING_SECRET_LENGTH} characters")
        return value

    @field_validator("temporal_payload_keys")
    @classmethod
    def _check_payload_keys(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if _texts(value) != [UNENCRYPTED]:
            for secret in value:
                if not _is_payload_key(secret):
                    raise ValueError(
                        "each key is 32 bytes in base64 (`openssl rand -base64 32`), or none alone"
                    )
        return value

    @field_validator("shop_color")
    @classmethod
    def _check_color(cls, value: str) -> str:
        if not _COLOR.fullmatch(value):
            raise ValueError("must be a color as in #1a1f36")
        return value

    @field_validator("stripe_webhook_secrets")
    @classmethod
    def _check_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_SIGNING_SECRET.fullmatch(secret.get_secret_value()) for secret in value):
            raise ValueError("each signing secret is whsec_ and at least 16 letters and digits")
        return value

    @field_validator("stripe_connect_accounts")
    @classmethod
    def _check_accounts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value != (ALL_ACCOUNTS,) and not all(is_account_id(account) for account in value):
            raise ValueError("must be acct_… IDs, comma-separated, or * alone")
        return value

    @field_validator("alert_emails")
    @classmethod
    def _check_alert_emails(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_address(address) for address in value)

    @field_validator("embed_origins")
    @classmethod
    def _check_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("must be origins as https://shop.example, comma-separated")
        return value

    @field_validator("service_hosts")
    @classmethod
    def _check_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_HOST.fullmatch(host) for host in value):
            raise ValueError("must be hosts as api.shop.example, without ports, comma-separated")
        return tuple(str(ip_address(host)) if ":" in host else host.lower() for host in value)

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp(cls, value: SecretStr) -> SecretStr:
        parts = urlsplit(value.get_secret_value())
        known = parts.scheme in {"smtp", "smtp+starttls", "smtps"}
        if not known or not parts.hostname or not _has_good_port(parts):
            raise ValueError("must be smtp://, smtp+starttls:// or smtps:// with host and port")
        return value

    @field_validator(
        "stripe_api_base",
        "carrier_url",
        "public_url",
        "app_webhook_url",
        "otel_exporter_otlp_endpoint",
        "otel_exporter_otlp_traces_endpoint",
        "shop_logo_url",
        "temporal_ui_origin",
        "temporal_ui_url",
    )
    @classmethod
    def _check_url(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or not _has_good_port(parts):
            raise ValueError("must be an http:// or https:// URL")
        return value.rstrip("/")

    @field_validator("temporal_address", "worker_metrics_address")
    @classmethod
    def _check_host_port(cls, value: str) -> str:
        if value and not re.fullmatch(r"[^\s/:]+:\d{1,5}", value):
            raise ValueError("must be host:port")
        return value

    @field_validator("temporal_deployment_name")
    @classmethod
    def _check_deployment(cls, value: str) -> str:
        if not re.fullmatch(r"[^.:\s]*", value):
            raise ValueError("must have no dots, colons or spaces")
        return value

    @field_validator("mail_from")
    @classmethod
    def _check_sender(cls, value: str) -> str:
        _, address = parseaddr(value)
        if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or not value.isprintable():
            raise ValueError("must be shop@example.com or Shop <shop@example.com>")
        return value

    @field_validator("operator_token", "app_token", "temporal_codec_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < MIN_TOKEN_LENGTH:
            raise ValueError(f"must have at least {MIN_TOKEN_LENGTH} characters")
        return value

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if self.carrier is CarrierChoice.HTTP and not self.carrier_url:
            raise ValueError("CARRIER_URL: missing")
        if self.carrier is CarrierChoice.HTTP and not all(
            _is_standard_webhooks(secret) for secret in self.carrier_webhook_secrets
        ):
            raise ValueError(f"CARRIER_WEBHOOK_SECRETS: {STANDARD_WEBHOOKS_FORM}")
        if self.carrier is CarrierChoice.EASYPOST and self.carrier_api_key is None:
            raise ValueError("CARRIER_API_KEY: missing; CARRIER=easypost needs it")
        if not self.split_task_queues and set(self.worker_concerns) != set(Concern):
            raise ValueError(
                "WORKER_CONCERNS: only with SPLIT_TASK_QUEUES, else there is one queue"
            )
        if bool(self.temporal_deployment_name) != bool(self.temporal_worker_build_id):
            raise ValueError("TEMPORAL_WORKER_BUILD_ID: goes with TEMPORAL_DEPLOYMENT_NAME")
        if self.app_webhook_url and not self.app_webhook_secrets:
            raise ValueError("APP_WEBHOOK_SECRETS: missing; APP_WEBHOOK_URL needs one")
        return self

    @model_validator(mode="after")
    def _refuse_unsafe(self) -> Self:
        base = urlsplit(self.stripe_api_base)
        stand_in = _is_near(base.hostname or "")
        if base.scheme == "http" and not stand_in:
            raise ValueError("STRIPE_API_BASE: plain http sends the key readable by all; use https")
        if self.livemode and stand_in:
            raise ValueError("STRIPE_API_KEY: a live key is never sent to a local stand-in")
        if self.livemode and urlsplit(self.public_url).scheme != "https":
            raise ValueError("PUBLIC_URL: live orders need https")
        if self.livemode and not self.temporal_payload_keys:
            raise ValueError(
                "TEMPORAL_PAYLOAD_KEYS: missing; what Temporal keeps of live orders is encrypted: "
                "make a key by `openssl rand -base64 32`, or say none"
            )
        return self


class LocalSettings(_TemporalSettings):
    """What `make up` needs to run everything on one machine.

    Of the settings that it shares with `Settings`, an empty one is filled in by it: it starts
    a part of its own, or makes up a value.
    """

    data_dir: Path = Path(".local")
    """Where the embedded parts keep their data between runs."""
    port: int = 4242
    postgres_port: int = 5433
    temporal_port: int = 7233
    temporal_ui_port: int = 8233
    stripe_emulator_port: int = 12111
    smtp_port: int = 1025
    inbox_port: int = 8025
    carrier_port: int = 8090
    merchant_port: int = 8091
    stripe_cli: Path | None = None
    """Which Stripe CLI `make stripe` runs; unset: the one on the PATH, else its own."""
    start_timeout: timedelta = timedelta(seconds=90)
    """How long one part may take until it answers."""
    stripe_api_key: str = ""
    """Empty: the Stripe emulator is started and used, whatever STRIPE_API_BASE says."""
    stripe_webhook_secrets: str = ""
    database_url: str = ""
    """Empty: the embedded PostgreSQL is started and used."""
    temporal_address: str = ""
    """Empty: the embedded Temporal server is started and used."""
    temporal_payload_keys: str = ""
    temporal_codec_token: str = ""
    temporal_ui_origin: str = ""
    smtp_url: str = ""
    """Empty: the local mail inbox is started and used."""
    mail_from: str = "Local Shop <shop@localhost.example>"
    carrier: CarrierChoice = CarrierChoice.HTTP
    carrier_url: str = ""
    """Empty: the local carrier is started and used, unless another carrier was chosen."""
    public_url: str = ""
    operator_token: str = ""
    signing_secrets: str = ""
    app_webhook_url: str = ""
    """Empty: the local merchant's application is started and told."""
    app_webhook_secrets: str = ""
    carrier_webhook_secrets: str = ""
    mail_webhook_secrets: str = ""
    downloads_folder: Path | None = None


_S = TypeVar("_S", bound=_EnvironmentSettings)


def _temporal_profile(values: Mapping[str, Any]) -> ClientConfigProfile:
    """Reads what the settings say of Temporal as its SDK does, with the profile that they name.

    Args:
        values: Settings by the names of their fields, as they were given or as they were read.

    Raises:
        ValueError: They don't go together, or with what the file says.
    """
    given = {
        name.upper(): value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if name in _TemporalSettings.model_fields and value not in {None, ""}
    }
    file = given.get("TEMPORAL_CONFIG_FILE")
    if file and not Path(file).is_file():
        raise ValueError(f"TEMPORAL_CONFIG_FILE: there is no file {file}")
    # What lies in a home folder decides nothing, unless it is asked for.
    wanted = bool(file or given.get("TEMPORAL_PROFILE"))
    try:
        return ClientConfigProfile.load(disable_file=not wanted, override_env_vars=given)
    except RuntimeError as error:
        name = "TEMPORAL_PROFILE" if wanted else "TEMPORAL_TLS"
        # Its first line: the next ones show the file's, which may hold the key.
        raise ValueError(f"{name}: {str(error).splitlines()[0]}") from error


def _is_standard_webhooks(secret: SecretStr) -> bool:
    try:
        key = b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
    except ValueError:
        return False
    return MIN_STANDARD_WEBHOOKS_KEY <= len(key) <= MAX_STANDARD_WEBHOOKS_KEY


def _texts(secrets: tuple[SecretStr, ...]) -> list[str]:
    return [secret.get_secret_value() for secret in secrets]


def _is_payload_key(secret: SecretStr) -> bool:
    try:
        return len(b64decode(secret.get_secret_value(), validate=True)) == PAYLOAD_KEY_BYTES
    except ValueError:
        return False


def _is_near(host: str) -> bool:
    """Whether it is this machine, or a name without a dot, which only its own network knows."""
    return host in LOOPBACK_HOSTS or not {".", ":"} & set(host)


def _has_good_port(parts: SplitResult) -> bool:
    try:
        return parts.port is None or parts.port > 0
    except ValueError:
        return False


def load(kind: type[_S]) -> _S:
    """Reads settings, or ends the program with one line per problem on standard error."""
    try:
        return kind()
    except ValidationError as error:
        _refuse(error)


def share_otel() -> None:
    """Puts what `.env` says of OTEL_… where OpenTelemetry's SDK looks: in the environment.

    And has it use the names of attributes on which its conventions have settled.
    """
    for name, value in DotEnvSettingsSource(Settings).env_vars.items():
        if name.startswith("otel_") and value:
            os.environ.setdefault(name.upper(), value)
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")


def require_webhook_secrets(settings: Settings) -> None:
    """Ends the API's start when no secret could verify a webhook."""
    if not settings.stripe_webhook_secrets:
        sys.exit("STRIPE_WEBHOOK_SECRETS: missing; without it no webhook can be trusted")


def _refuse(error: ValidationError) -> NoReturn:
    lines = []
    for problem in error.errors():
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        text = "missing" if problem["type"] == "missing" else problem["msg"]
        text = text.removeprefix("Value error, ")
        lines.append(f"{name}: {text}" if name else text)
    sys.exit("Settings are missing or unsafe:\n" + "\n".join(f"  {line}" for line in lines))
