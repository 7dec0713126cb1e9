"""What Temporal keeps is encrypted, by keys that can be rotated."""

import os

import pytest
from temporalio.api.common.v1 import Payload

from domain.ids import FulfillmentRef
from workflows.encryption import EncryptionCodec, UndecryptableError, data_converter

OLD, NEW = os.urandom(32), os.urandom(32)
REF = FulfillmentRef(session_id="cs_test_1", line_item_id="li_1", kind="access")


async def _encrypted(key: bytes) -> Payload:
    [payload] = await data_converter([key]).encode([REF])
    return payload


async def test_what_is_encrypted_is_read_again_and_tells_nothing() -> None:
    payload = await _encrypted(NEW)
    assert b"cs_test_1" not in payload.SerializeToString()
    assert payload != await _encrypted(NEW)
    assert await data_converter([NEW]).decode([payload], [FulfillmentRef]) == [REF]


async def test_an_old_key_behind_a_new_one_reads_what_it_has_encrypted() -> None:
    payload = await _encrypted(OLD)
    rotated = data_converter([NEW, OLD])
    assert await rotated.decode([payload], [FulfillmentRef]) == [REF]
    [newer] = await rotated.encode([REF])
    assert await data_converter([NEW]).decode([newer], [FulfillmentRef]) == [REF]
    with pytest.raises(UndecryptableError):
        await data_converter([NEW]).decode([payload], [FulfillmentRef])


async def test_what_was_changed_is_refused() -> None:
    payload = await _encrypted(NEW)
    payload.data = payload.data[:-1] + bytes([payload.data[-1] ^ 1])
    with pytest.raises(UndecryptableError, match="changed"):
        await EncryptionCodec([NEW]).decode([payload])


async def test_what_is_from_before_encryption_is_read() -> None:
    [plain] = await data_converter([]).encode([REF])
    assert await data_converter([NEW]).decode([plain], [FulfillmentRef]) == [REF]
