"""Encrypts what stands in Temporal: inputs, results, signals, summaries and failures.

Temporal keeps no personal data of ours as it is; this keeps also the rest from whoever reads its
database or its Web UI without the key. AES-256-GCM, with a key that each payload names, so that
keys can be rotated: the first one encrypts, all of them decrypt.

Source: Temporal's documentation, "Payload Codec" and "Failure Converter".
"""

import dataclasses
import hashlib
import os
from collections.abc import Iterable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadCodec,
)

_ENCODING = b"binary/encrypted"
_KEY_ID = "encryption-key-id"
_NONCE_BYTES = 12
"""As AES-GCM wants it; made anew for each payload."""


class UndecryptableError(ValueError):
    """A payload was encrypted with a key that is not there any more, or was changed."""


class EncryptionCodec(PayloadCodec):
    """Encrypts and decrypts payloads; what was never encrypted is read as it is.

    Args:
        keys: Of 32 bytes each; the first one encrypts. Without any nothing is changed.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = {_id_of(key): AESGCM(key) for key in keys}
        self._newest = _id_of(keys[0]) if keys else None

    async def encode(self, payloads: Iterable[Payload]) -> list[Payload]:
        """Encrypts each payload whole, with what it says of its own encoding."""
        return [self._encrypt(payload) for payload in payloads]

    async def decode(self, payloads: Iterable[Payload]) -> list[Payload]:
        """Decrypts those that are encrypted.

        Raises:
            UndecryptableError: None of the keys is the one that a payload names, or it was changed.
        """
        return [self._decrypt(payload) for payload in payloads]

    def _encrypt(self, payload: Payload) -> Payload:
        if self._newest is None:
            return payload
        nonce = os.urandom(_NONCE_BYTES)
        key_id = self._newest.encode()
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), key_id)
        return Payload(metadata={"encoding": _ENCODING, _KEY_ID: key_id}, data=nonce + sealed)

    def _decrypt(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCODING:
            # From before encryption was switched on, or typed in by an operator.
            return payload
        key_id = payload.metadata.get(_KEY_ID, b"")
        cipher = self._ciphers.get(key_id.decode(errors="replace"))
        if cipher is None:
            raise UndecryptableError(f"TEMPORAL_PAYLOAD_KEYS has no key {key_id!r}")
        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, key_id))
        except InvalidTag as error:
            raise UndecryptableError("a payload was changed after it was encrypted") from error


def data_converter(keys: Sequence[bytes]) -> DataConverter:
    """How our models are written into Temporal; encrypted where there are keys."""
    if not keys:
        return pydantic_data_converter
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=EncryptionCodec(keys),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def _id_of(key: bytes) -> str:
    """What names a key and tells nothing about it."""
    return hashlib.sha256(b"payload-key:" + key).hexdigest()[:16]
