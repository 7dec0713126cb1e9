"""`python -m commands`: the console program, by the settings of the environment."""

from commands.cli import program
from ending import run_to_end

if __name__ == "__main__":
    run_to_end(program)
