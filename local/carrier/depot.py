"""The carrier's books: what was booked, once per idempotency key, and where it is, in SQLite."""

import json
import secrets
import sqlite3
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

CARRIER_NAME = "Local Parcel"
UNDELIVERABLE_POSTAL_CODE = "00000"
"""An address with it is refused, so that tests and people can try that."""
MAX_ITEMS = 1000

SCHEMA = """
CREATE TABLE IF NOT EXISTS shipments (
    idempotency_key TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    tracking_number TEXT NOT NULL UNIQUE,
    reference TEXT NOT NULL,
    request TEXT NOT NULL,
    booked_at TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS shipments_by_reference ON shipments (reference);
CREATE TABLE IF NOT EXISTS scans (
    id TEXT PRIMARY KEY,
    reference TEXT NOT NULL,
    status TEXT NOT NULL,
    at TEXT NOT NULL,
    told INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS cancellations (
    reference TEXT PRIMARY KEY
);
CREATE TABLE IF NOT EXISTS replays (
    reference TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS replays_by_reference ON replays (reference);
CREATE INDEX IF NOT EXISTS scans_by_reference ON scans (reference);
"""


class CarrierRefusalError(Exception):
    """The carrier does not book this; carries the HTTP status and the error's code."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Status(StrEnum):
    """Where a parcel is, once it has left the sender."""

    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"
    EXCEPTION = "exception"


class Scan(BaseModel):
    """What happened to a parcel."""

    id: str
    reference: str
    status: Status
    at: datetime

    def told(self) -> dict[str, Any]:
        """What the sender hears of it."""
        return self.model_dump(mode="json", include={"reference", "status", "at"})


class Service(BaseModel):
    """A way to bring a parcel, and what it costs."""

    rate_id: str
    name: str
    delivery_days: int
    cents: int
    cents_per_kilogram: int

    def rate(self, weight_grams: int) -> dict[str, Any]:
        """What it offers for a parcel of that weight."""
        return {
            "id": self.rate_id,
            "carrier": CARRIER_NAME,
            "service": self.name,
            "price": self.price(weight_grams),
            "delivery_days": self.delivery_days,
        }

    def price(self, weight_grams: int) -> dict[str, Any]:
        """For a parcel of that weight; every kilogram begun counts."""
        cents = self.cents + self.cents_per_kilogram * -(-weight_grams // 1000)
        return {"amount_minor": cents, "currency": "usd"}


SERVICES = (
    Service(
        rate_id="rate_standard", name="Standard", delivery_days=4, cents=400, cents_per_kilogram=100
    ),
    Service(
        rate_id="rate_express", name="Express", delivery_days=1, cents=1500, cents_per_kilogram=300
    ),
)


class Address(BaseModel):
    """Where the parcel goes."""

    name: str | None = None
    line1: str | None = None
    line2: str | None = None
    city: str | None = None
    state: str | None = None
    postal_code: str | None = None
    country: str | None = None

    @property
    def problem(self) -> str | None:
        """Why no parcel can go there; None when one can."""
        if not self.line1:
            return "line1 is missing"
        if not self.country:
            return "country is missing"
        if self.postal_code == UNDELIVERABLE_POSTAL_CODE:
            return f"no such postal code: {self.postal_code}"
        return None


class Item(BaseModel):
    """One kind of goods in the parcel."""

    sku: str
    quantity: int = Field(ge=1)
    weight_grams: int = Field(ge=0)
    """The weight of one piece."""


class ShipmentRequest(BaseModel):
    """What the sender asks for."""

    reference: str
    to: Address
    items: list[Item] = Field(max_length=MAX_ITEMS)
    phone: str | None = None
    rate_id: str | None = None

    @property
    def service(self) -> Service:
        """What was chosen of `SERVICES`; the cheapest where nothing was.

        Raises:
            CarrierRefusalError: There is no such rate.
        """
        for service in SERVICES:
            if self.rate_id in {None, service.rate_id}:
                return service
        raise CarrierRefusalError(422, "unknown_rate", f"no such rate: {self.rate_id}")

    @property
    def weight_grams(self) -> int:
        """Of the whole parcel."""
        return sum(item.quantity * item.weight_grams for item in self.items)


class Shipment(BaseModel):
    """A booked parcel."""

    id: str
    tracking_number: str
    reference: str
    request: ShipmentRequest
    booked_at: datetime

    def answer(self, base_url: str) -> dict[str, Any]:
        """What the sender gets back for a booking."""
        service = self.request.service
        return {
            "id": self.id,
            "tracking_number": self.tracking_number,
            "tracking_url": f"{base_url}track/{self.tracking_number}",
            "label_url": f"{base_url}label/{self.tracking_number}",
            "carrier": CARRIER_NAME,
            "service": service.name,
            "price": service.price(self.request.weight_grams),
        }

    def record(self, base_url: str) -> dict[str, Any]:
        """All that is known of it."""
        return {
            **self.answer(base_url),
            **self.request.model_dump(),
            "booked_at": self.booked_at.isoformat(),
        }


class Depot:
    """The carrier's books, in one SQLite file."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def book(self, key: str, request: ShipmentRequest) -> tuple[Shipment, bool]:
        """Books a shipment once per key; returns it, and whether it had been booked before.

        Raises:
            CarrierRefusalError: the key belongs to another request, or the address is bad.
        """
        known = self._select("idempotency_key = ?", key)
        if known:
            if known[0].request != request:
                raise CarrierRefusalError(
                    409, "idempotency_conflict", "the key was used with another body"
                )
            self._db.execute("INSERT INTO replays VALUES (?)", (request.reference,))
            return known[0], True
        self.check(request)
        self._db.execute(
            "INSERT INTO shipments VALUES (?, ?, ?, ?, ?, ?)",
            (
                key,
                f"shp_{secrets.token_hex(12)}",
                f"LP{secrets.randbelow(10**12):012}",
                request.reference,
                request.model_dump_json(),
                datetime.now(UTC).isoformat(),
            ),
        )
        return self._select("idempotency_key = ?", key)[0], False

    def check(self, request: ShipmentRequest) -> None:
        """Refuses what cannot be brought.

        Raises:
            CarrierRefusalError: The address is bad, or there is no such rate.
        """
        if request.to.problem:
            raise CarrierRefusalError(422, "invalid_address", request.to.problem)
        _ = request.service

    def shipments(self, reference: str | None = None) -> list[Shipment]:
        """All shipments, or those of one reference, oldest first."""
        if reference is None:
            return self._select("TRUE")
        return self._select("reference = ?", reference)

    def scan(self, shipment: Shipment, status: Status | None = None) -> Scan:
        """Notes where a parcel is.

        Args:
            shipment: Which one.
            status: Where it is; None: where it goes next, in transit first, then delivered.
        """
        if status is None:
            status = Status.DELIVERED if self.scans(shipment) else Status.IN_TRANSIT
        scan = Scan(
            id=f"scan_{secrets.token_hex(12)}",
            reference=shipment.reference,
            status=status,
            at=datetime.now(UTC),
        )
        self._db.execute(
            "INSERT INTO scans (id, reference, status, at) VALUES (?, ?, ?, ?)",
            (scan.id, scan.reference, scan.status, scan.at.isoformat()),
        )
        return scan

    def cancel(self, shipment: Shipment) -> bool:
        """Cancels a parcel that has not left the sender; False when it has."""
        if self.scans(shipment):
            return False
        self._db.execute("INSERT OR IGNORE INTO cancellations VALUES (?)", (shipment.reference,))
        return True

    def is_canceled(self, shipment: Shipment) -> bool:
        """Whether a parcel was canceled."""
        found = self._db.execute(
            "SELECT * FROM cancellations WHERE reference = ?", (shipment.reference,)
        )
        return found.fetchone() is not None

    def scans(self, shipment: Shipment) -> list[Scan]:
        """What happened to a parcel, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM scans WHERE reference = ? ORDER BY rowid", (shipment.reference,)
        )
        return [Scan(**row) for row in rows]

    def replays(self, shipment: Shipment) -> int:
        """How often a parcel was asked for again that was booked already."""
        [count] = self._db.execute(
            "SELECT count(*) FROM replays WHERE reference = ?", (shipment.reference,)
        ).fetchone()
        return int(count)

    def under_way(self, pace_s: float) -> list[Shipment]:
        """Parcels that were neither delivered nor lost, and not scanned for so many seconds."""
        before = (datetime.now(UTC) - timedelta(seconds=pace_s)).isoformat()
        return self._select(
            "booked_at < ? AND reference NOT IN (SELECT reference FROM cancellations) "
            "AND NOT EXISTS (SELECT * FROM scans WHERE "
            "scans.reference = shipments.reference AND (status <> ? OR at >= ?))",
            before,
            Status.IN_TRANSIT,
            before,
        )

    def untold(self) -> list[Scan]:
        """What the sender has not taken yet, oldest first."""
        rows = self._db.execute("SELECT * FROM scans WHERE NOT told ORDER BY rowid")
        return [Scan(**row) for row in rows]

    def mark_told(self, scan: Scan) -> None:
        """Notes that the sender has taken it."""
        self._db.execute("UPDATE scans SET told = 1 WHERE id = ?", (scan.id,))

    def by_id(self, shipment_id: str) -> Shipment | None:
        """The shipment with this ID; None when there is none."""
        return next(iter(self._select("id = ?", shipment_id)), None)

    def by_tracking_number(self, number: str) -> Shipment | None:
        """The shipment with this number; None when there is none."""
        return next(iter(self._select("tracking_number = ?", number)), None)

    def _select(self, condition: str, *values: str) -> list[Shipment]:
        rows = self._db.execute(
            f"SELECT * FROM shipments WHERE {condition} ORDER BY rowid",  # noqa: S608 - ours
            values,
        )
        return [Shipment(**{**row, "request": json.loads(row["request"])}) for row in rows]
