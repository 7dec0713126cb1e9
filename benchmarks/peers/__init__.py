"""What a merchant would pick instead, each as one small program: `make bench-peers`.

Each program takes Stripe's webhooks and does the same for a paid order, by `shop.py`: it retrieves
the Checkout Session, grants access, books the parcel and mails the receipt. What differs is what
keeps it going: nothing, a task queue, or an engine for durable execution. Each is written as the
documentation of its engine would write it, safe to be called twice, with retries.

They run in a virtualenv of their own, `.venv-peers`, because the service needs none of their
packages. `benchmarks.comparison` starts them, loads them and kills them.
"""
