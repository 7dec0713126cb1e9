"""How fast orders are fulfilled, beside a bare Temporal workflow: `make bench`.

Everything runs as `make up` runs it: the API, the worker, PostgreSQL, Temporal on a file and
the stand-ins for Stripe, the carrier and the mail server, each a process of its own. The
stand-ins answer as late as the real ones would (`benchmarks.outside`).

Absolute times belong to one machine on one day, so the baseline runs in turns with the
product on the same Temporal server: a workflow of as many activities as an order has steps,
each of which does nothing. The baseline calls nobody and writes no row.
"""
