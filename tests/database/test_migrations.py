"""Migrations bring a database to exactly what the tables say."""

from concurrent.futures import ThreadPoolExecutor

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text

from database.emails import ORIGINAL, read_emails
from database.engine import Database, sqlalchemy_url
from database.entitlements import read_active
from database.migrate import alembic_config, upgrade
from database.order_view import read_order
from database.parcels import read_parcels
from database.reservations import release
from database.revisions import newest_revision
from database.shipments import claim_shipment
from database.stock import read_stock
from database.tables import metadata
from domain.entitlements import CustomerKey, CustomerName
from domain.ids import FulfillmentRef
from domain.shipping import ParcelItem, ParcelStatus
from domain.stock import MAIN_WAREHOUSE


def test_migrations_and_tables_agree(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def _new_database(database_url: str, name: str) -> str:
    engine = create_engine(sqlalchemy_url(database_url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine.dispose()
    base, _, _ = database_url.rpartition("/")
    return f"{base}/{name}"


def test_several_processes_may_migrate_at_once(database_url: str) -> None:
    new = _new_database(database_url, "several")
    with ThreadPoolExecutor() as threads:
        revisions = list(threads.map(upgrade, [new] * 4))
    assert revisions == [newest_revision()] * 4


def test_what_a_newer_release_has_migrated_is_left_alone(database_url: str) -> None:
    new = _new_database(database_url, "newer")
    upgrade(new)
    engine = create_engine(sqlalchemy_url(new))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    assert upgrade(new) == "9999"


AT_0002 = (
    """
    INSERT INTO orders (session_id, state, payment_status, currency, amount_total_minor,
        customer_email, customer_id, client_reference_id, shipping_address, collected)
    VALUES ('cs_test_old', 'fulfilling', 'paid', 'usd', 5997, 'Jo@example.com', 'cus_1', 'cart-7',
        '{"line1": "1 Main Street", "country": "US"}', '{"phone": "+15551234567"}')
    """,
    """
    INSERT INTO line_items (session_id, line_item_id, position, description, quantity,
        amount_subtotal_minor, amount_total_minor, currency)
    SELECT 'cs_test_old', 'li_' || n, n, 'Item ' || n, n, 1999, 1999, 'usd'
    FROM generate_series(1, 4) n
    """,
    """
    INSERT INTO fulfillments (session_id, line_item_id, kind, state, parameters)
    VALUES ('cs_test_old', 'li_1', 'access', 'fulfilled', '{"feature": "course"}'),
        ('cs_test_old', 'li_2', 'shipment', 'fulfilled', '{}'),
        ('cs_test_old', 'li_3', 'shipment', 'pending', '{}'),
        ('cs_test_old', 'li_4', 'shipment', 'action_required', '{}')
    """,
    """
    INSERT INTO entitlements (session_id, line_item_id, kind, feature, url, quantity,
        customer_email)
    VALUES ('cs_test_old', 'li_1', 'access', 'course', 'https://learn.example.com', 3,
        'Jo@example.com')
    """,
    """
    INSERT INTO shipments (session_id, line_item_id, kind, sku, quantity, weight_grams,
        stock_taken, carrier_shipment_id, carrier, tracking_number, tracking_url)
    VALUES ('cs_test_old', 'li_2', 'shipment', 'MUG', 2, 350, true, 'shp_1', 'Local Parcel',
            'LP1', 'https://carrier.example.com/LP1'),
        ('cs_test_old', 'li_3', 'shipment', 'MUG', 3, 350, true, NULL, NULL, NULL, NULL),
        ('cs_test_old', 'li_4', 'shipment', 'MUG', 4, 350, false, NULL, NULL, NULL, NULL)
    """,
    "INSERT INTO stock (sku, on_hand) VALUES ('MUG', 7)",
    "INSERT INTO stock_movements (sku, quantity, reason) VALUES ('MUG', 7, 'counted')",
    """
    INSERT INTO stock_reservations (session_id, line_item_id, kind, sku, quantity, state)
    VALUES ('cs_test_old', 'li_4', 'shipment', 'MUG', 4, 'held')
    """,
    """
    INSERT INTO emails (session_id, name, recipient, message_id, sent_at)
    VALUES ('cs_test_old', 'receipt', 'Jo@example.com', '<1@example.com>', '2026-11-01T12:00Z')
    """,
)
"""One order as the release before wrote it: granted, booked, about to be booked, out of stock."""


def _fulfillment(line: str, kind: str = "shipment") -> FulfillmentRef:
    return FulfillmentRef(session_id="cs_test_old", line_item_id=line, kind=kind)


async def test_what_the_release_before_wrote_is_read_right(database_url: str) -> None:
    old = _new_database(database_url, "from_0002")
    engine = create_engine(sqlalchemy_url(old))
    with engine.begin() as connection:
        command.upgrade(alembic_config(connection), "0002")
        for statement in AT_0002:
            connection.execute(text(statement))
    engine.dispose()
    upgrade(old)
    async with Database(old) as database, database.transaction() as reading:
        order = await read_order(reading, "cs_test_old")
        entitled = await read_active(
            reading, CustomerKey(name=CustomerName.EMAIL, value="jo@example.com"), "course"
        )
        about_to_book = await claim_shipment(reading, _fulfillment("li_3"))
        unbooked = await read_parcels(reading, _fulfillment("li_3"))
        out_of_stock = await claim_shipment(reading, _fulfillment("li_4"))
        [receipt] = await read_emails(reading, "cs_test_old")
        [mugs] = await read_stock(reading)
        await release(reading, "cs_test_old")
        [restocked] = await read_stock(reading)

    assert order is not None
    access, booked, planned, none = [line.fulfillments[0] for line in order.lines]
    assert [each.value for each in access.delivered] == ["https://learn.example.com"]
    [parcel] = booked.parcels
    assert (parcel.status, parcel.tracking_number) == (ParcelStatus.BOOKED, "LP1")
    assert parcel.items == (ParcelItem(sku="MUG", quantity=2, weight_grams=350),)
    assert [each.status for each in planned.parcels] == [ParcelStatus.PLANNED]
    assert none.parcels == ()

    [entitlement] = entitled
    assert entitlement.id.startswith("ent_")
    assert (entitlement.quantity, entitlement.url) == (3, "https://learn.example.com")
    assert (entitlement.customer_id, entitlement.client_reference_id) == ("cus_1", "cart-7")

    # Under the reference that the carrier may know it by already.
    assert [each.reference for each in unbooked] == ["cs_test_old:li_3:shipment"]
    assert about_to_book.holds_stock is True
    assert about_to_book.phone == "+15551234567"
    assert out_of_stock.holds_stock is False
    assert out_of_stock.is_reserved

    assert (receipt.key, receipt.recipient) == (ORIGINAL, "Jo@example.com")
    assert order.receipt_sent_at == receipt.sent_at
    assert (mugs.warehouse, mugs.on_hand) == (MAIN_WAREHOUSE, 7)
    assert restocked.on_hand == 11
