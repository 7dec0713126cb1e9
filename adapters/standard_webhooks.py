"""Standard Webhooks: bodies that one of several shared secrets has signed.

Source: the Standard Webhooks specification, "Signature scheme" and "Verifying webhooks".
"""

from collections.abc import Mapping, Sequence

from standardwebhooks import Webhook, WebhookVerificationError

from domain.errors import InvalidWebhookError


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
