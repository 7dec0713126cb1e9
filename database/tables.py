"""The tables. `database/migrations` brings a database to what stands here.

Amounts are in Stripe's minor units of the row's currency; times are in UTC.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Integer,
    MetaData,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _created_at() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


def _updated_at() -> Column[object]:
    return Column(
        "updated_at",
        DateTime(timezone=True),
        nullable=False,
        server_default=func.now(),
        onupdate=func.now(),
    )


# One row per Checkout Session, for ever: the guard against fulfilling twice that outlives
# Temporal's retention. Columns that come from Stripe are null until Stripe was first asked.
orders = Table(
    "orders",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("state", Text, nullable=False, index=True),
    Column("error", Text, comment="why a step that belongs to no line item is stuck"),
    Column("error_step", Text, comment="which step that is"),
    Column("mismatch", Text, comment="which of Stripe's sums do not add up"),
    Column("account", Text, comment="the connected account that sells; null for our own"),
    Column("livemode", Boolean),
    Column("mode", Text),
    Column("payment_status", Text),
    Column("payment_intent_id", Text, index=True),
    Column("subscription_id", Text),
    Column("payment_link_id", Text),
    Column("payment_method", JSONB),
    Column("payment_method_types", JSONB),
    Column("currency", Text),
    Column("amount_subtotal_minor", BigInteger),
    Column("amount_tax_minor", BigInteger),
    Column("amount_shipping_minor", BigInteger),
    Column("amount_discount_minor", BigInteger),
    Column("amount_total_minor", BigInteger),
    Column("presentment_amount_minor", BigInteger, comment="what the customer saw, if it differs"),
    Column("presentment_currency", Text),
    Column("customer_id", Text),
    Column("customer_email", Text),
    Column("customer_name", Text),
    Column("collected", JSONB),
    Column("custom_fields", JSONB),
    Column("locale", Text),
    Column("shipping_address", JSONB),
    Column("client_reference_id", Text),
    Column("stripe_metadata", JSONB),
    Column("checkout_created_at", DateTime(timezone=True)),
    _created_at(),
    _updated_at(),
    Column("closed_at", DateTime(timezone=True), comment="when the order reached its end"),
)

line_items = Table(
    "line_items",
    metadata,
    Column("session_id", Text, ForeignKey(orders.c.session_id), primary_key=True),
    Column("line_item_id", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("quantity", Integer, nullable=False, comment="what was bought"),
    Column("quantity_offer", JSONB, comment="between what the customer could choose"),
    Column("amount_subtotal_minor", BigInteger, nullable=False),
    Column("amount_discount_minor", BigInteger),
    Column("amount_tax_minor", BigInteger),
    Column("amount_total_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price_id", Text),
    Column("product_id", Text),
)

fulfillments = Table(
    "fulfillments",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("line_item_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("error", Text, comment="why an operator is needed"),
    Column("note", Text, comment="what an operator said: who, and why"),
    _created_at(),
    _updated_at(),
    ForeignKeyConstraint(
        ["session_id", "line_item_id"], [line_items.c.session_id, line_items.c.line_item_id]
    ),
)


def _fulfillment_key() -> tuple[Column[str], Column[str], Column[str], ForeignKeyConstraint]:
    """Columns that make a table's row unique per session + line item + kind."""
    return (
        Column("session_id", Text, primary_key=True),
        Column("line_item_id", Text, primary_key=True),
        Column("kind", Text, primary_key=True),
        ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            [fulfillments.c.session_id, fulfillments.c.line_item_id, fulfillments.c.kind],
        ),
    )


entitlements = Table(
    "entitlements",
    metadata,
    *_fulfillment_key(),
    Column("feature", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("customer_email", Text, index=True),
    _created_at(),
)

shipments = Table(
    "shipments",
    metadata,
    *_fulfillment_key(),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("weight_grams", Integer, nullable=False),
    Column("stock_taken", Boolean, nullable=False),
    Column("carrier_shipment_id", Text, comment="null until the carrier has booked"),
    Column("carrier", Text),
    Column("tracking_number", Text),
    Column("tracking_url", Text),
    _created_at(),
    _updated_at(),
)

stock = Table(
    "stock",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("on_hand", Integer, CheckConstraint("on_hand >= 0", name="on_hand"), nullable=False),
    _updated_at(),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("sku", Text, ForeignKey(stock.c.sku), nullable=False, index=True),
    Column("quantity", Integer, nullable=False, comment="negative when taken"),
    Column("reason", Text, nullable=False),
    Column("session_id", Text, index=True),
    Column("line_item_id", Text),
    Column("kind", Text),
    _created_at(),
)

# Pieces that are held for an order whose delayed payment is under way. They are off the stock
# as long as the row says `held`.
stock_reservations = Table(
    "stock_reservations",
    metadata,
    Column("session_id", Text, ForeignKey(orders.c.session_id), primary_key=True),
    Column("line_item_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("state", Text, nullable=False, comment="held, used or released"),
    _created_at(),
    _updated_at(),
)

# How far reconciliation has come with what one Stripe account sold.
sweeps = Table(
    "sweeps",
    metadata,
    Column("livemode", Boolean, primary_key=True),
    Column("account", Text, primary_key=True, comment="empty for our own"),
    Column(
        "began_at",
        DateTime(timezone=True),
        nullable=False,
        comment="orders before it were somebody else's to fulfill",
    ),
    Column("swept_until", DateTime(timezone=True), nullable=False),
)

emails = Table(
    "emails",
    metadata,
    Column("session_id", Text, ForeignKey(orders.c.session_id), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    _created_at(),
    Column("sent_at", DateTime(timezone=True), comment="null until the mail server accepted it"),
)
