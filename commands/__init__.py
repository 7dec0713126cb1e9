"""What an operator runs by hand: each module is a program, `python -m commands.<name>`."""
