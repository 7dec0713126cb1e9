"""No cell of an export is a formula, whatever it begins with."""

import csv
import io

import pytest

from commands.export import csv_writer


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_spreadsheets_would_run_is_quoted(mark: str) -> None:
    out = io.StringIO(newline="")
    csv_writer(out, ["name", "amount"])([f"{mark}1+cmd|' /C calc'!A0", -5])
    [_, row] = csv.reader(io.StringIO(out.getvalue(), newline=""))
    # A number stays one.
    assert row == [f"'{mark}1+cmd|' /C calc'!A0", "-5"]
