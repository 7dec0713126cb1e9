"""What several operations answer, as the OpenAPI description says it."""

from typing import Any

Responses = dict[int | str, dict[str, Any]]

UNAVAILABLE: Responses = {503: {"description": "Database or Temporal are away: ask again"}}
UNAUTHORIZED: Responses = {401: {"description": "The operator token is missing, or another one"}}
UNREADABLE: Responses = {
    400: {"description": "The body cannot be read"},
    413: {"description": "The body is too large"},
}
NO_ORDER: Responses = {404: {"description": "There is no order of this Checkout Session"}}
NO_MESSAGE: Responses = {404: {"description": "There is no such message"}}
