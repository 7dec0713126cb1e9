"""How far one try of a delivery came: what every activity that delivers answers."""

from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from domain.orders import Question


class Progress(BaseModel):
    """Done, or what it waits for; by default it is done.

    An activity that waits has recorded so before it answers: what wakes it is written in the
    database, and it is called again to look there.
    """

    model_config = ConfigDict(frozen=True)

    waiting: str | None = None
    """What it waits for, for operators; None once it is done."""
    look_again_in: timedelta | None = None
    """When something happens without anybody's word, such as a default answer."""
    ask: Question | None = None
    """What the customer is to be asked by mail, once."""
