"""By what operators find orders in the Temporal Web UI; nothing personal, since none is encrypted.

Source: Temporal's documentation, "Search Attributes".
"""

import asyncio
import logging
from collections.abc import Collection
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

logger = logging.getLogger(__name__)

ORDER_STATE = SearchAttributeKey.for_keyword("OrderState")
PAYMENT_STATE = SearchAttributeKey.for_keyword("PaymentState")
NEEDS_ATTENTION = SearchAttributeKey.for_bool("NeedsAttention")
"""Whether a step waits for an operator."""
AMOUNT_MINOR = SearchAttributeKey.for_int("OrderAmountMinor")
"""In minor units of the currency, as Stripe counts."""
CURRENCY = SearchAttributeKey.for_keyword("OrderCurrency")
CREATED = SearchAttributeKey.for_datetime("OrderCreated")
"""When Stripe opened the Checkout Session."""
LIVEMODE = SearchAttributeKey.for_bool("Livemode")
ACCOUNT = SearchAttributeKey.for_keyword("StripeAccount")
"""The connected account; none for our own."""

KEYS: tuple[SearchAttributeKey[Any], ...] = (
    ORDER_STATE,
    PAYMENT_STATE,
    NEEDS_ATTENTION,
    AMOUNT_MINOR,
    CURRENCY,
    CREATED,
    LIVEMODE,
    ACCOUNT,
)
TYPES = {key.name: key.indexed_value_type.name.capitalize() for key in KEYS}
"""As `temporal operator search-attribute create` takes them."""

_WAIT_S = 1.0


async def missing(client: Client) -> frozenset[str]:
    """Which of them the namespace does not know."""
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return frozenset(TYPES) - set(listed.custom_attributes)


async def register(client: Client, names: Collection[str] = tuple(TYPES)) -> None:
    """Has the namespace know these search attributes."""
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=client.namespace,
            search_attributes={
                name: IndexedValueType.Value(f"INDEXED_VALUE_TYPE_{TYPES[name].upper()}")
                for name in names
            },
        )
    )


async def ensure_registered(client: Client) -> None:
    """Registers what is missing, and waits until the namespace knows it.

    A workflow that sets an attribute that nobody has registered gets stuck. Where the server lets
    nobody register any, as Temporal Cloud does, an operator has to: docs/operators.md says how.
    """
    while True:
        try:
            names = await missing(client)
            if not names:
                return
            await register(client, names)
        except RPCError as error:
            if error.status is not RPCStatusCode.ALREADY_EXISTS:
                logger.warning(
                    "waiting for the search attributes of docs/operators.md: %s", error.message
                )
        await asyncio.sleep(_WAIT_S)
