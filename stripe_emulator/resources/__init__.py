"""The resources of the API; `table` imports them all into the table of operations."""
