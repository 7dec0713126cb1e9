"""What the work of an order is about, where each has a task queue of its own."""

from enum import StrEnum


class Concern(StrEnum):
    """One part of the work."""

    FULFILLMENT = "fulfillment"
    """Orders themselves, and all that is not below."""
    SHIPPING = "shipping"
    """What asks the carrier."""
    MAIL = "mail"
    """The mails of orders."""

    def queue(self, task_queue: str) -> str:
        """Its task queue, in a deployment whose own is this."""
        return task_queue if self is Concern.FULFILLMENT else f"{task_queue}-{self}"
