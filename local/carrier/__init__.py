"""A local parcel carrier over HTTP, for development, the demo and tests.

It books shipments as a real carrier would: once per idempotency key, with a look-up by the
sender's reference. It moves them, and it can be told to fail.

    python -m local.carrier --port 8090 --file .local/carrier.db
        [--callback-url http://127.0.0.1:4242/carrier/webhook --callback-secret whsec_…]

POST /shipments, with an `Idempotency-Key` header: 201 booked; 200 the same again; 409 the key
was used with another body; 422 bad address or unknown rate.
POST /rates: {"rates": […]}; 422 bad address.
GET /shipments[?reference=…]: {"shipments": […]}, oldest first.
POST /shipments/{id}/advance[?status=in_transit|delivered|exception]: moves a parcel, which moves by
itself every half a minute. Each move is told to the callback URL, signed.
GET /, /track/{number} and /label/{number}: pages for people.
POST /faults: bookings fail from now on. DELETE /faults: no more.
GET /healthz: {}.
"""
