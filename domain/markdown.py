"""Text from outside within Markdown, which the Temporal Web UI renders for operators.

Products' metadata and what carriers and services answer stand in the errors that it shows; a
link, an image or a line that looks like our own must not come of it.

Source: GitHub Flavored Markdown Spec, "Backslash escapes", "Code spans", "Tables".
"""

_ESCAPED = str.maketrans({mark: f"\\{mark}" for mark in "\\`*[]<>&|~"})
"""No underscores: within words, as in our own names of errors, they mean nothing."""
_NOT_IN_CODE = str.maketrans("`|", "''")
"""Nothing escapes these within code."""


def as_text(text: str) -> str:
    """Shows a text as it is, on one line."""
    return " ".join(text.split()).translate(_ESCAPED)


def as_code(text: str) -> str:
    """Shows a name as code, on one line; backticks and bars become quotes."""
    return f"`{' '.join(text.split()).translate(_NOT_IN_CODE)}`"
