"""A Stripe event, as far as we trust it."""

from pydantic import BaseModel, ConfigDict


class _Object(BaseModel):
    id: str | None = None


class _Data(BaseModel):
    object: _Object


class StripeEvent(BaseModel):
    """What a snapshot event is called and which object changed.

    The state inside is left unread on purpose: events come late, twice and out of order, so
    the object is retrieved instead.

    Source: Stripe's API reference, "The Event object".
    """

    model_config = ConfigDict(frozen=True)

    id: str
    type: str
    livemode: bool
    data: _Data

    @property
    def object_id(self) -> str | None:
        """The ID of the object that changed; None for one that has none, such as a balance."""
        return self.data.object.id
