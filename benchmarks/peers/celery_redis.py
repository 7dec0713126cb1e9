"""Celery with Redis: the webhook enqueues a task, a worker of threads fulfills the order.

Source: Celery's documentation, "Tasks" and "Using Redis". Tasks are acknowledged late, so that
those of a killed worker are taken up again, by the next sweep after the visibility timeout. That is
an hour unless set, and has to be longer than any task and any delay of a retry; without a throttle
of 1 the sweeps are 100 s apart.

    python -m benchmarks.peers.celery_redis
    celery --app benchmarks.peers.celery_redis worker --pool threads --concurrency 32
"""

import os
from functools import cache

from celery import Celery

from benchmarks.peers.shop import Shop
from benchmarks.peers.web import in_thread, serve, webhook_app

VISIBILITY_TIMEOUT_S = 40
MAX_BACKOFF_S = 30

app = Celery("peer", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    broker_transport_options={
        "visibility_timeout": VISIBILITY_TIMEOUT_S,
        "unacked_restore_throttle": 1,
    },
    broker_connection_retry_on_startup=True,
)


@cache
def _shop() -> Shop:
    return Shop()


@app.task(
    name="fulfill_checkout",
    autoretry_for=(Exception,),
    retry_backoff=True,
    retry_backoff_max=MAX_BACKOFF_S,
    max_retries=None,
)
def fulfill_checkout(session_id: str) -> None:
    """Fulfills an order, whether or not another task has begun or ended it."""
    _shop().fulfill_once(session_id)


if __name__ == "__main__":
    serve(webhook_app(_shop(), in_thread(fulfill_checkout.delay)))
