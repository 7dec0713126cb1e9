"""The service beside what a merchant would pick instead, under one load: `make bench-peers`.

All of them share the load generator, PostgreSQL and the stand-ins for Stripe, the carrier and the
mail server. One runs at a time, with its engine: what waits costs nothing. They take turns, round
after round, so that a drifting machine troubles all of them alike.

One turn is a warm-up, orders at a fixed rate, a closed loop, and a crash: kill -9 of all of the
system's own processes in mid-run, which are started again at once. The engine under it (database,
broker, server) runs on.
"""
