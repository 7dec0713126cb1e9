"""A table, for the terminal and for a page of the documentation."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table


@dataclass(frozen=True)
class Grid:
    """Rows of text under a title.

    Attributes:
        title: What it shows.
        columns: Their headings; the first one's is above the names of the rows.
        rows: As many cells each as there are columns.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def for_terminal(self) -> Table:
        """As rich prints it."""
        table = Table(self.columns[0])
        for column in self.columns[1:]:
            table.add_column(column, justify="right")
        for row in self.rows:
            table.add_row(*row)
        return table

    def as_markdown(self) -> str:
        """With the title as a heading."""
        lines = [
            self.columns,
            ["---", *("---:" for _ in self.columns[1:])],
            *self.rows,
        ]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"## {self.title}\n\n{table}\n"
