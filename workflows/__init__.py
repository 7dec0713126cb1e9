"""Deterministic orchestration: nothing here reads a clock, a file or a socket of its own."""
