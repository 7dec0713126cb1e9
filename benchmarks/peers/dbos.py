"""DBOS: the webhook starts a workflow in its own process, whose steps PostgreSQL keeps.

Source: DBOS's documentation, "Workflows", "Steps" and "Workflow Recovery". The workflow's ID is
the session's, so that a second webhook starts nothing.

    python -m benchmarks.peers.dbos
"""

import os

from dbos import DBOS, DBOSConfig, SetWorkflowID

from benchmarks.peers.shop import Order, Shop
from benchmarks.peers.web import in_thread, serve, webhook_app

ATTEMPTS = 10

DBOS(
    config=DBOSConfig(
        name="peer",
        system_database_url=os.environ["DATABASE_URL"],
        # All that runs at once is a thread and may want a connection.
        sys_db_pool_size=32,
        log_level="WARNING",
    )
)
shop = Shop()


@DBOS.step(retries_allowed=True, max_attempts=ATTEMPTS)
def retrieve(session_id: str) -> Order | None:
    """Asks Stripe."""
    return shop.retrieve(session_id)


@DBOS.step(retries_allowed=True, max_attempts=ATTEMPTS)
def grant_access(order: Order) -> None:
    """Grants what was bought."""
    shop.grant_access(order)


@DBOS.step(retries_allowed=True, max_attempts=ATTEMPTS)
def book_parcel(order: Order) -> str:
    """Books the parcel."""
    return shop.book_parcel(order)


@DBOS.step(retries_allowed=True, max_attempts=ATTEMPTS)
def mail_receipt(order: Order, tracking_number: str) -> None:
    """Mails the receipt."""
    shop.mail_receipt(order, tracking_number)


@DBOS.step(retries_allowed=True, max_attempts=ATTEMPTS)
def record_fulfilled(session_id: str) -> None:
    """Records the end."""
    shop.record_fulfilled(session_id)


@DBOS.workflow()
def fulfill_checkout(session_id: str) -> None:
    """Fulfills an order, once."""
    order = retrieve(session_id)
    if order is None:
        return
    grant_access(order)
    mail_receipt(order, book_parcel(order))
    record_fulfilled(session_id)


def start(session_id: str) -> None:
    """Starts the workflow, unless it is there."""
    with SetWorkflowID(session_id):
        DBOS.start_workflow(fulfill_checkout, session_id)


if __name__ == "__main__":
    DBOS.launch()
    serve(webhook_app(shop, in_thread(start)))
