"""Everything a workflow does to the outside world, one class per outside concern.

Each activity may run again after it succeeded (a worker dies before it reports), so each one
looks up what was done under its key before it does anything.
"""
