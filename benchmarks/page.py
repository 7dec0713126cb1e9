"""A page of the documentation that a benchmark writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def write_page(
    path: Path, *, title: str, command: str, sections: Sequence[str], plots: Mapping[str, str]
) -> None:
    """Writes the page, and the plots beside it.

    Args:
        path: Where to; its folder is made when missing.
        title: The page's heading.
        command: What has written it.
        sections: In Markdown.
        plots: SVG by file name, without its ending.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for name, plot in plots.items():
        (path.parent / f"{name}.svg").write_text(plot, encoding="utf-8")
    images = "\n\n".join(f"![{name}]({name}.svg)" for name in plots)
    head = f"# {title}\n\nWritten by `{command}`; [what it means](../benchmarks.md).\n"
    path.write_text("\n".join([head, f"{images}\n", *sections]), encoding="utf-8")


def facts_table(facts: Mapping[str, str]) -> str:
    """What was measured on what, as a section."""
    rows = "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    return f"## Measured on\n\n| | |\n|---|---|\n{rows}\n"
