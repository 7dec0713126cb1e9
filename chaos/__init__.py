"""Buys from the running service while everything around it breaks, then audits it: `make chaos`.

Real processes (PostgreSQL, Temporal, two workers, the API, and the stand-ins for Stripe, the
carrier and the mail server), purchases of all kinds in a steady stream, and faults drawn from a
seed. When the faults have ended and the service has settled, an auditor reads only what the outside
world holds, and says whether every paid order was delivered exactly once and no unpaid one at all.

docs/chaos.md tells how to read what it prints.
"""
