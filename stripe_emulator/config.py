"""What the emulator is told at the start."""

from dataclasses import dataclass
from pathlib import Path

API_VERSION = "2026-10-28.endive"
"""The one Stripe API version whose objects the emulator renders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorConfig:
    """Settings of one emulator; every field has a command-line flag of the same name.

    Attributes:
        api_key: The secret key that clients must send; without one, any test key is taken.
        public_url: Where browsers reach the emulator, without a trailing slash; pay pages'
            addresses begin with it. Without one, the address of the current request is used.
        webhook_url: An endpoint to register at the start, if no endpoint has this URL yet.
        webhook_secret: The signing secret of that endpoint (`whsec_…`).
        success_url: Where the sample shop's sessions send the customer after paying.
        cancel_url: Where the sample shop's sessions send a customer who turns back.
        service_url: What fulfills the sample shop's product that a service of the merchant's own
            fulfills; without one the shop has no such product.
        snapshot: A file to keep the state in between runs.
        time_scale: How much faster than documented delivery retries and the outcomes of
            delayed payments come; 10 means ten times faster.
    """

    api_key: str | None = None
    public_url: str | None = None
    webhook_url: str | None = None
    webhook_secret: str | None = None
    success_url: str | None = None
    cancel_url: str | None = None
    service_url: str | None = None
    snapshot: Path | None = None
    time_scale: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what could not work.

        Raises:
            ValueError: If the key is not a test key, the secret has not Stripe's form, or
                the time scale is not positive.
        """
        if self.api_key is not None and not self.api_key.startswith(("sk_test_", "rk_test_")):
            raise ValueError("the API key must be a test key: sk_test_… or rk_test_…")
        if self.webhook_secret is not None and not self.webhook_secret.startswith("whsec_"):
            raise ValueError("the webhook secret must begin with whsec_")
        if self.time_scale <= 0:
            raise ValueError("the time scale must be greater than 0")
