"""Tokens that tell what a customer may use, and that anybody can verify without asking us again.

Source: RFC 7519, "JSON Web Token"; RFC 8037 for Ed25519 in JOSE; RFC 7638 for key IDs.
"""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import BaseModel, ConfigDict, TypeAdapter

from domain.entitlements import CustomerKey, Entitlement

ALGORITHM = "EdDSA"
RENEWED_EVERY = timedelta(minutes=5)
"""So long a customer's token stays the same, as long as their entitlements do."""
VALID_FOR = 2 * RENEWED_EVERY
"""From when it is made; so each is good for another five minutes at least when it is handed out."""
_PURPOSE = b"entitlement tokens"


class ActiveEntitlement(BaseModel):
    """What a customer may use now."""

    model_config = ConfigDict(frozen=True)

    id: str
    feature: str
    quantity: int
    """Seats."""
    starts_at: datetime
    expires_at: datetime | None


_ACTIVE = TypeAdapter(tuple[ActiveEntitlement, ...])


class TokenClaims(BaseModel):
    """What a token says.

    Attributes:
        iss: Our address.
        sub: By what the customer was asked for, and its value: `email:jo@example.com`.
        iat: When it was made, in seconds since 1970.
        exp: When it is to be fetched anew.
        entitlements: What the customer may use.
    """

    model_config = ConfigDict(frozen=True)

    iss: str
    sub: str
    iat: int
    exp: int
    entitlements: tuple[ActiveEntitlement, ...]


class _Key:
    """A key pair that follows from a secret.

    Args:
        secret: One of the signing secrets.
    """

    def __init__(self, secret: str) -> None:
        derived = HKDF(SHA256(), length=32, salt=None, info=_PURPOSE).derive(secret.encode())
        self.private = Ed25519PrivateKey.from_private_bytes(derived)
        public = self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        required = {"crv": "Ed25519", "kty": "OKP", "x": _base64url(public)}
        canonical = json.dumps(required, separators=(",", ":"), sort_keys=True)
        self.id = _base64url(hashlib.sha256(canonical.encode()).digest())
        self.jwk = {**required, "kid": self.id, "alg": ALGORITHM, "use": "sig"}


class EntitlementTokens:
    """Signs tokens.

    Args:
        issuer: Our address.
        secrets: The keys follow from them: the first one signs, all are published.
    """

    def __init__(self, issuer: str, secrets: Sequence[str]) -> None:
        self._issuer = issuer
        self._keys = [_Key(secret) for secret in secrets]

    @property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, as a JSON Web Key Set."""
        return {"keys": [key.jwk for key in self._keys]}

    def claims(
        self, customer: CustomerKey, entitlements: Sequence[Entitlement], now: datetime
    ) -> TokenClaims:
        """What a customer's token says; the same within five minutes, if the entitlements are."""
        every_s = int(RENEWED_EVERY.total_seconds())
        made_at = int(now.timestamp()) // every_s * every_s
        return TokenClaims(
            iss=self._issuer,
            sub=f"{customer.name}:{customer.value}",
            iat=made_at,
            exp=made_at + int(VALID_FOR.total_seconds()),
            entitlements=_ACTIVE.validate_python(entitlements, from_attributes=True),
        )

    def sign(self, claims: TokenClaims) -> str:
        """The claims as a signed JSON Web Token."""
        key = self._keys[0]
        payload: dict[str, Any] = claims.model_dump(mode="json")
        return jwt.encode(payload, key.private, algorithm=ALGORITHM, headers={"kid": key.id})


def tag(claims: TokenClaims) -> str:
    """A weak entity tag of what a token says, whichever key signs it."""
    digest = hashlib.sha256(claims.model_dump_json().encode()).hexdigest()
    return f'W/"{digest[:32]}"'


def _base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()
