"""What customers are asked to send back, since the money went back after the parcel had left."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from domain.ids import FulfillmentRef
from domain.stock import Take


class ReturnState(StrEnum):
    """Where a return stands."""

    ASKED = "asked"
    RECEIVED = "received"
    """The goods are back."""
    WITHDRAWN = "withdrawn"
    """The customer may keep them after all."""


class Return(BaseModel):
    """Pieces that are asked back."""

    model_config = ConfigDict(frozen=True)

    id: str
    session_id: str
    line_item_id: str
    kind: str
    sku: str
    warehouse: str
    quantity: int
    state: ReturnState

    @property
    def ref(self) -> FulfillmentRef:
        """Of which fulfillment."""
        return FulfillmentRef(
            session_id=self.session_id, line_item_id=self.line_item_id, kind=self.kind
        )

    @property
    def take(self) -> Take:
        """What goes back to stock with it."""
        return Take(sku=self.sku, warehouse=self.warehouse, quantity=self.quantity)
