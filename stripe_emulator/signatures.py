"""Signs deliveries. See "Verify webhook signatures manually" in Stripe's documentation."""

import hashlib
import hmac
from collections.abc import Iterable


def signature_header(payload: bytes, secrets: Iterable[str], timestamp: int) -> str:
    """The `Stripe-Signature` header: one `v1` for every active secret."""
    signed = f"{timestamp}.".encode() + payload
    parts = [
        "v1=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets
    ]
    return ",".join([f"t={timestamp}", *parts])
