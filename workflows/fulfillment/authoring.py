"""All that a kind in a package of its own imports; docs/kinds.md shows one.

What stands here keeps its name and meaning; all other modules may change.
"""

from activities.progress import Progress
from database.engine import Database
from database.orders import ClaimedLine, claim_line, mark_fulfillment
from domain.errors import MisconfiguredError, PermanentError, TransientError
from domain.ids import FulfillmentRef
from domain.orders import Deliverable, DeliverableType, FulfillmentState
from workflows import options
from workflows.fulfillment.kind import FulfillmentKind, KindContext, Parameters
from workflows.steps import Step, StepParkedError

__all__ = [
    "ClaimedLine",
    "Database",
    "Deliverable",
    "DeliverableType",
    "FulfillmentKind",
    "FulfillmentRef",
    "FulfillmentState",
    "KindContext",
    "MisconfiguredError",
    "Parameters",
    "PermanentError",
    "Progress",
    "Step",
    "StepParkedError",
    "TransientError",
    "claim_line",
    "mark_fulfillment",
    "options",
]
