"""Checkout: what a session holds and what becomes of it."""
