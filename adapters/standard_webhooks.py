"""Standard Webhooks: bodies that are signed with a shared secret.

Source: the Standard Webhooks specification, "Signature scheme" and "Verifying webhooks".
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError

from domain.errors import InvalidWebhookError


def signed_headers(body: bytes, message_id: str, secret: str) -> dict[str, str]:
    """The headers that a webhook goes out with, signed now.

    Args:
        body: As it is sent.
        message_id: The same on each try, so that the receiver can tell it came before.
        secret: `whsec_…`
    """
    now = datetime.now(UTC)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body.decode()),
    }


def verify(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> None:
    """Verifies a webhook against every configured secret.

    Args:
        body: As it came.
        headers: All of the request's.
        secrets: `whsec_…`; several while one is being rotated.

    Raises:
        InvalidWebhookError: None of them signed it, or not within the last five minutes.
    """
    reason = "no signing secret is configured"
    for secret in secrets:
        try:
            Webhook(secret).verify(body, dict(headers), json_parse=False)
        except WebhookVerificationError as error:
            reason = str(error)
        except ValueError:
            # What the library makes of a body or a header that it cannot take apart.
            reason = "the body or its signature is malformed"
        else:
            return
    raise InvalidWebhookError(reason)
