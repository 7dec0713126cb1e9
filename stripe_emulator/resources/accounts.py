"""Accounts over the API, to be read only. See "Accounts" in Stripe's API reference."""

from http import HTTPStatus

from ..errors import StripeError
from ..operations import Call, operation
from ..paging import in_range, page
from ..store import PLATFORM_ACCOUNT, StripeObject


@operation("GET /v1/account")
def retrieve_current(call: Call) -> StripeObject:
    """The account that the request is about."""
    return call.emulator.store.platform.get("account", call.account.id)


@operation("GET /v1/accounts/{account}")
def retrieve(call: Call) -> StripeObject:
    """The account of this ID: the request's own, or one connected to the platform.

    Raises:
        StripeError: `account_invalid`; Stripe does not tell whether there is such an account.
    """
    account_id = call.path["account"]
    account = call.emulator.store.platform.find(account_id)
    allowed = call.account.id in {account_id, PLATFORM_ACCOUNT}
    if account is None or account["object"] != "account" or not allowed:
        raise StripeError(
            f"The provided key does not have access to account '{account_id}' (or that account"
            " does not exist). Application access may have been revoked.",
            status=HTTPStatus.FORBIDDEN,
            code="account_invalid",
        )
    return account


@operation("GET /v1/accounts")
def list_all(call: Call) -> StripeObject:
    """The accounts that are connected to the platform, the newest first."""
    found = (
        account
        for account in call.emulator.store.platform.newest_first("account")
        if call.account.id == PLATFORM_ACCOUNT
        and account["id"] != PLATFORM_ACCOUNT
        and in_range(account["created"], call.params.get("created"))
    )
    return page(call.account, found, call.params, "/v1/accounts")
