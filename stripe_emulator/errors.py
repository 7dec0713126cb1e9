"""Stripe's error objects and the HTTP statuses they travel with.

StripeError
 ├─ invalid_request_error: unknown, missing or wrong parameters, missing resources
 ├─ card_error: the bank said no
 ├─ idempotency_error: one key for two different requests
 └─ api_error: injected faults

See "Errors" and "Error codes" in Stripe's API reference.
"""

from http import HTTPStatus
from typing import Any


class StripeError(Exception):
    """An answer that is an error.

    Attributes:
        status: The HTTP status.
        error: The members of the answer's `error` object.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = HTTPStatus.BAD_REQUEST,
        error_type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        **members: Any,  # noqa: ANN401 - members of Stripe's error object are of any type
    ) -> None:
        super().__init__(message)
        self.status = int(status)
        self.error: dict[str, Any] = {"message": message, "type": error_type}
        if code is not None:
            self.error["code"] = code
            self.error["doc_url"] = f"https://docs.stripe.com/error-codes#{code.replace('_', '-')}"
        if param is not None:
            self.error["param"] = param
        self.error.update(members)


def invalid(message: str, param: str | None = None, code: str | None = None) -> StripeError:
    """A parameter has a value that Stripe would not take (status 400)."""
    return StripeError(message, code=code, param=param)


def missing_parameter(param: str) -> StripeError:
    """A required parameter was not sent (status 400)."""
    return invalid(f"Missing required param: {param}.", param, "parameter_missing")


def resource_missing(
    kind: str, object_id: str, param: str | None = None, *, in_url: str = "id"
) -> StripeError:
    """There is no such object: 404 when it was asked for by its URL, 400 by a parameter."""
    return StripeError(
        f"No such {kind}: '{object_id}'",
        status=HTTPStatus.NOT_FOUND if param is None else HTTPStatus.BAD_REQUEST,
        code="resource_missing",
        param=param or in_url,
    )


def require_one_of(params: dict[str, Any], *names: str) -> None:
    """Refuse parameters that exclude each other.

    Raises:
        StripeError: With Stripe's words.
    """
    if sum(name in params for name in names) > 1:
        raise invalid(f"You may only specify one of these parameters: {', '.join(names)}.")


def unauthorized(message: str) -> StripeError:
    """The API key is missing or not one of ours (status 401)."""
    return StripeError(message, status=HTTPStatus.UNAUTHORIZED)
