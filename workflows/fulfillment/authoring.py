"""All that a kind in a package of its own imports; docs/kinds.md shows one.

What stands here keeps its name and meaning; all other modules may change.
"""

from activities.progress import Progress
from activities.reversals import ReverseInput
from database.engine import Database
from database.orders import ClaimedLine, claim_line, mark_fulfillment
from database.reversals import ReversibleFulfillment, lock_reversible, note_taken_back
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
    "ReverseInput",
    "ReversibleFulfillment",
    "Step",
    "StepParkedError",
    "TransientError",
    "claim_line",
    "lock_reversible",
    "mark_fulfillment",
    "note_taken_back",
    "options",
]
