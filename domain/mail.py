"""A mail to a customer."""

from pydantic import BaseModel, ConfigDict


class Email(BaseModel):
    """One mail with a text and an HTML part."""

    model_config = ConfigDict(frozen=True)

    to: str
    subject: str
    text: str
    html: str
    message_id: str
    """Made from the order and the mail's name, so that a mail sent twice can be told."""
