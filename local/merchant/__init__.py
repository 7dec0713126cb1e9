"""A merchant's own application, for development, the demo and tests.

It fulfills what the catalog gives to the kind `webhook`: it answers that it has it in hand, and
calls back a moment later. It also takes the messages that `APP_WEBHOOK_URL` gets. Both are signed
with a Standard Webhooks secret, and shown on its page until it stops.

    python -m local.merchant --port 8091 --secret whsec_…

POST /fulfill: 202 {"status": "pending"}, then the callback; 400 bad signature.
POST /messages: 204; 400 bad signature.
GET /: the page for people.
GET /healthz: {}.
"""
