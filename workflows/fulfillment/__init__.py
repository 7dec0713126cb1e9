"""Fulfillment kinds: one file each, and a line in `registry`."""
