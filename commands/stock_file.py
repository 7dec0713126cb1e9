"""Stock as a CSV file: what `fulfillment stock` imports and exports.

    sku,warehouse,on_hand,low_at
    MUG-BLUE,berlin,100,10
    MUG-BLUE,paris,40,10

`on_hand` is what a warehouse has after a count, no change of it: to import a file twice is to
import it once. `warehouse` may be left out where there is only one. Without `low_at` the
thresholds stay as they are; an empty one means never.
"""

import csv
import io
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from database.stock import StockLevel

COLUMNS = ("sku", "warehouse", "on_hand", "low_at")
_REQUIRED = ("sku", "on_hand")
MOST_PIECES = 2_147_483_647
"""What the database's integers hold."""
MAX_SKU_LENGTH = 100


class StockFileError(Exception):
    """A file that cannot be imported.

    Args:
        problems: All of them, each with its line.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(self.problems))


@dataclass
class StockFile:
    """What a file says.

    Attributes:
        counts: Pieces by SKU and warehouse.
        low_at: By SKU; empty where the file has no such column.
    """

    counts: dict[tuple[str, str], int] = field(default_factory=dict)
    low_at: dict[str, int | None] = field(default_factory=dict)


def parse_stock_file(text: str, warehouses: Collection[str]) -> StockFile:
    """Reads a file's text.

    Args:
        text: All of it.
        warehouses: Those that there are.

    Raises:
        StockFileError: Something in it makes no sense; nothing of it is to be imported.
    """
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        header = tuple(reader.fieldnames or ())
        if set(_REQUIRED) - set(header) or set(header) - set(COLUMNS):
            raise StockFileError(
                [f"line 1: the columns are {','.join(COLUMNS)}, not {','.join(header)}"]
            )
        rows = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        # Counted are the lines before the one at fault.
        raise StockFileError([f"line {reader.line_num + 1}: {error}"]) from error
    file = StockFile()
    problems = []
    for line, row in rows:
        try:
            _read_row(row, warehouses, file)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        raise StockFileError(problems)
    return file


def _read_row(
    row: Mapping[str | None, object], warehouses: Collection[str], file: StockFile
) -> None:
    if None in row or None in row.values():
        raise ValueError("it has not as many fields as the first line")
    texts = {str(name): str(value).strip() for name, value in row.items()}
    sku = as_sku(texts["sku"])
    warehouse = as_warehouse(texts.get("warehouse"), warehouses)
    if (sku, warehouse) in file.counts:
        raise ValueError(f"{sku} in {warehouse} was counted on an earlier line")
    if "low_at" in texts:
        low_at = as_pieces(texts["low_at"], "low_at") if texts["low_at"] else None
        if file.low_at.setdefault(sku, low_at) != low_at:
            raise ValueError(f"{sku} has another low_at on an earlier line")
    file.counts[sku, warehouse] = as_pieces(texts["on_hand"], "on_hand")


def as_sku(text: str) -> str:
    """Checks a SKU.

    Raises:
        ValueError: It cannot be one.
    """
    if not 0 < len(text) <= MAX_SKU_LENGTH or not text.isprintable():
        raise ValueError(f"a SKU has 1 to {MAX_SKU_LENGTH} characters")
    return text


def as_warehouse(name: str | None, warehouses: Collection[str]) -> str:
    """Checks a warehouse's name; none is needed where there is only one.

    Raises:
        ValueError: There is no such warehouse, or one must be named.
    """
    if not name and len(warehouses) == 1:
        return next(iter(warehouses))
    if not name or name not in warehouses:
        problem = f"there is no warehouse {name}" if name else "a warehouse must be named"
        raise ValueError(f"{problem}; there are: {', '.join(warehouses)}")
    return name


def as_pieces(text: str, name: str = "it") -> int:
    """Reads a number of pieces.

    Raises:
        ValueError: It is none.
    """
    if not (text.isascii() and text.isdigit()) or int(text) > MOST_PIECES:
        raise ValueError(f"{name} must be a whole number of pieces, 0 or more, not {text!r}")
    return int(text)


def format_stock_file(levels: Iterable[StockLevel]) -> str:
    """The text of a file; to import it changes nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for level in levels:
        low_at = "" if level.low_at is None else level.low_at
        writer.writerow((level.sku, level.warehouse, level.on_hand, low_at))
    return text.getvalue()
