"""What a fulfillment kind is: a name, the parameters it reads, and how it delivers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from database.engine import Database
from domain.ids import FulfillmentRef
from workflows.steps import Step, StepParkedError


class Parameters(BaseModel):
    """Base of what a kind reads from the catalog or from a product's metadata.

    Field `url` of kind `access` is the metadata key `access_url`.
    """

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True)
class KindContext:
    """What the worker lends to the activities of a kind from another package.

    Attributes:
        database: Where fulfillments are recorded.
    """

    database: Database


@dataclass(frozen=True)
class FulfillmentKind(Generic[P]):
    """One way to deliver a line item.

    Attributes:
        name: Stands in catalogs, in histories and in the database: never rename it.
        parameters: The model that its parameters must fit.
        deliver: Delivers one line item; called again on each try, so its effects are keyed.
        abandon: Gives back what an unfinished delivery holds, when an operator skips it.
        reverse: Brings what was delivered to where the fulfillment is to come to, after money went
            back, or came again; see `database.reversals`. Called again on each try, and whenever
            that changes. Without it a person is asked.
        reserve: Holds what the delivery will need, while a delayed payment is under way. It is
            given back by the database, together with the record that the payment is lost.
        activities: Makes the activities that it brings along, once per worker. Ours are made in
            `worker.py`, which has their adapters.
    """

    name: str
    parameters: type[P]
    deliver: Callable[[FulfillmentRef, P, Step], Awaitable[None]]
    abandon: Callable[[FulfillmentRef, Step], Awaitable[None]] | None = None
    reserve: Callable[[FulfillmentRef, P, Step], Awaitable[None]] | None = None
    reverse: Callable[[FulfillmentRef, Step], Awaitable[None]] | None = None
    activities: Callable[[KindContext], Sequence[Callable[..., Any]]] | None = None

    def parse(self, raw: dict[str, Any]) -> P:
        """Checks the parameters that a catalog gives.

        Raises:
            ValueError: One is missing or wrong; the message names it as it is written.
        """
        try:
            return self.parameters.model_validate(raw)
        except ValidationError as error:
            problems = (
                f"{'_'.join((self.name, *(str(part) for part in problem['loc'])))}: "
                f"{problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            )
            raise ValueError("; ".join(problems)) from error

    async def fulfill(self, ref: FulfillmentRef, raw: dict[str, str], step: Step) -> None:
        """Delivers one line item.

        Raises:
            StepParkedError: An operator is needed.
        """
        try:
            parameters = self.parse(raw)
        except ValueError as error:
            raise StepParkedError(f"parameters_invalid: {error}") from error
        await self.deliver(ref, parameters, step)
