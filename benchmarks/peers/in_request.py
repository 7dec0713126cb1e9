"""The guide's own way: the webhook's request fulfills the order, and then answers.

Source: Stripe's guide "Fulfill orders". What fails is answered with 500, and Stripe sends the
webhook again.

    python -m benchmarks.peers.in_request
"""

from benchmarks.peers.shop import Shop
from benchmarks.peers.web import in_thread, serve, webhook_app

if __name__ == "__main__":
    shop = Shop()
    serve(webhook_app(shop, in_thread(shop.fulfill_once)))
