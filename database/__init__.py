"""Tables, all SQL, and migrations; callers hold the transaction and never commit."""
