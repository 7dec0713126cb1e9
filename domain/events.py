"""A Stripe event, as far as we trust it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class StripeEvent(BaseModel):
    """What an event is called, and which object changed.

    The state inside is left unread on purpose: events come late, twice, out of order and in
    the API version of their endpoint, so the object is retrieved instead.

    Source: Stripe's API reference, "The Event object" and "The Event object" of API v2.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    """As snapshot events call it: `checkout.session.completed`, also for a thin event."""
    livemode: bool
    created: datetime
    object_id: str | None
    """The object that changed; None for one that has no ID, such as a balance."""
    account: str | None = None
    """The connected account that it happened on; None for our own."""
