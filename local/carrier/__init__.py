"""A local parcel carrier over HTTP, for development, the demo and tests.

It books shipments as a real carrier would: once per idempotency key, with a look-up by the
sender's reference, and it can be told to fail.

    python -m local.carrier --port 8090 --file .local/carrier.db

POST /shipments, with an `Idempotency-Key` header: 201 booked; 200 the same again; 409 the key
was used with another body; 422 bad address.
GET /shipments[?reference=…]: {"shipments": […]}, oldest first.
GET / and /track/{number}: pages for people.
POST /faults: bookings fail from now on. DELETE /faults: no more.
GET /healthz: {}.
"""
