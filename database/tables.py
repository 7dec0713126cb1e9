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
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    literal_column,
    text,
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
    Column("erased_at", DateTime(timezone=True), comment="when its personal data was erased"),
    Column(
        "on_hold",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="whether an operator holds back what is not delivered yet",
    ),
    Column(
        "address_changed_at",
        DateTime(timezone=True),
        comment="since then the shipping address is not Checkout's any more",
    ),
)
Index("ix_orders_customer_email", func.lower(orders.c.customer_email))
Index(
    "ix_orders_client_reference_id",
    orders.c.client_reference_id,
    postgresql_where=orders.c.client_reference_id.is_not(None),
)
order_created_at = func.coalesce(orders.c.checkout_created_at, orders.c.created_at)
"""Stripe's own date; ours only where Stripe was never asked."""
Index("ix_orders_created", order_created_at)
Index(
    "ix_orders_account",
    orders.c.account,
    order_created_at,
    postgresql_where=orders.c.account.is_not(None),
)
Index("ix_orders_error", orders.c.session_id, postgresql_where=orders.c.error.is_not(None))
Index("ix_orders_on_hold", orders.c.session_id, postgresql_where=orders.c.on_hold)
Index(
    "ix_orders_customer_id",
    orders.c.customer_id,
    postgresql_where=orders.c.customer_id.is_not(None),
)
Index(
    "ix_orders_subscription_id",
    orders.c.subscription_id,
    postgresql_where=orders.c.subscription_id.is_not(None),
)

# What was done to an order, by whom, and why.
audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("session_id", Text, ForeignKey(orders.c.session_id), nullable=False, index=True),
    Column("act", Text, nullable=False),
    Column("by", Text, nullable=False, comment="an operator, or who: see database.audit"),
    Column("detail", Text, nullable=False, comment="no personal data"),
    _created_at(),
)

# What operators are to be told of, once for each cause; see database.alerts.
alerts = Table(
    "alerts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("session_id", Text, ForeignKey(orders.c.session_id), nullable=False),
    Column("step", Text, nullable=False, comment="empty: the order as a whole"),
    Column("cause", Text, nullable=False, comment="a stable word"),
    Column("detail", Text, nullable=False, comment="no personal data"),
    _created_at(),
    Column("mailed_at", DateTime(timezone=True), comment="null until it is mailed"),
    UniqueConstraint("session_id", "step", "cause", name="uq_alerts_session_id_step_cause"),
)
Index("ix_alerts_unmailed", alerts.c.id, postgresql_where=alerts.c.mailed_at.is_(None))

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
    Column(
        "delivered",
        JSONB,
        nullable=False,
        server_default=text("'[]'::jsonb"),
        comment="what the customer has in hand: see domain.orders.Deliverable",
    ),
    Column("error", Text, comment="why an operator is needed"),
    Column("note", Text, comment="what an operator said: who, and why"),
    Column(
        "reversed",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="pieces that are to be taken back, or not to be delivered",
    ),
    Column(
        "taken_back",
        Integer,
        nullable=False,
        server_default=text("0"),
        comment="how many of them are: it follows `reversed`",
    ),
    Column(
        "held",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="whether its delivery has to wait for how a reversal ends",
    ),
    Column("fulfilled_at", DateTime(timezone=True), comment="when it was delivered first"),
    Column(
        "by_hand",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="whether a person has delivered it, who is to take it back too",
    ),
    _created_at(),
    _updated_at(),
    ForeignKeyConstraint(
        ["session_id", "line_item_id"], [line_items.c.session_id, line_items.c.line_item_id]
    ),
)
is_unsettled = fulfillments.c.reversed - fulfillments.c.taken_back != literal_column("0")
"""Whether a fulfillment is not yet where its reversals bring it to.

Of this difference PostgreSQL keeps statistics (migration 0008). Of two columns that differ it
would assume that nearly all do, and read all of them.
"""
Index("ix_fulfillments_unsettled", fulfillments.c.session_id, postgresql_where=is_unsettled)
Index(
    "ix_fulfillments_for_operators",
    fulfillments.c.session_id,
    postgresql_where=fulfillments.c.state.in_(("action_required", "awaiting_operator")),
)

# Refunds, disputes and early fraud warnings, under their IDs at Stripe.
reversals = Table(
    "reversals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("session_id", Text, ForeignKey(orders.c.session_id), nullable=False, index=True),
    Column("cause", Text, nullable=False, comment="see domain.reversals.Cause"),
    Column("status", Text, nullable=False, comment="Stripe's own word"),
    Column("counts", Boolean, nullable=False, comment="false once it failed, or was won"),
    Column("amount_minor", BigInteger, comment="null for a warning"),
    Column("currency", Text),
    Column("reason", Text, comment="Stripe's own word"),
    Column("lines", JSONB, comment="pieces by line item; null: nobody has said"),
    Column("problem", Text, comment="why nobody could tell which pieces"),
    Column("decision", Text, comment="an operator's: revoke or keep"),
    Column("created_at", DateTime(timezone=True), nullable=False, comment="at Stripe"),
    Column("recorded_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    _updated_at(),
)

Index(
    "ix_reversals_problem",
    reversals.c.session_id,
    postgresql_where=reversals.c.problem.is_not(None),
)

# Refunds that were asked for here: recorded first, then made at Stripe.
refund_requests = Table(
    "refund_requests",
    metadata,
    Column("id", Text, primary_key=True, comment="rfr_…"),
    Column("session_id", Text, ForeignKey(orders.c.session_id), nullable=False, index=True),
    Column("state", Text, nullable=False, comment="requested, made or given_up"),
    Column("lines", JSONB, nullable=False, comment="pieces by line item that it takes back"),
    Column("amount_minor", BigInteger, comment="null: all that is left"),
    Column("currency", Text),
    Column("reason", Text, comment="Stripe's own word"),
    Column("by", Text, nullable=False, comment="an operator, or `policy`"),
    Column("note", Text, nullable=False, comment="why; no personal data"),
    Column("refund_id", Text, comment="at Stripe, once it is made"),
    Column("refusals", Integer, nullable=False, server_default=text("0"), comment="of Stripe's"),
    _created_at(),
    _updated_at(),
)
Index(
    "ix_refund_requests_open",
    refund_requests.c.updated_at,
    postgresql_where=refund_requests.c.state == "requested",
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
    Column("id", Text, nullable=False, unique=True),
    Column("feature", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("quantity", Integer, nullable=False, comment="seats"),
    Column("customer_id", Text, index=True),
    Column("customer_email", Text),
    Column("client_reference_id", Text, index=True),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), comment="null: it does not end by itself"),
    Column("revoked_at", DateTime(timezone=True)),
    Column("revoked_because", Text),
    Column("reversed_at", DateTime(timezone=True), comment="null unless a reversal has revoked it"),
    Column("checked_at", DateTime(timezone=True), comment="as last noted in access_log"),
    _created_at(),
)
Index("ix_entitlements_customer_email", func.lower(entitlements.c.customer_email))
CUSTOMER_OF_ENTITLEMENT = func.coalesce(
    entitlements.c.customer_id,
    entitlements.c.client_reference_id,
    func.lower(entitlements.c.customer_email),
)
"""Whose it is, to tell renewals: the first of these that the order has."""
Index("ix_entitlements_customer", CUSTOMER_OF_ENTITLEMENT, entitlements.c.feature)

# Keys to hand out: of an imported pool, until they are handed out, or made for an order.
license_keys = Table(
    "license_keys",
    metadata,
    Column("key", Text, primary_key=True, comment="in its normal form"),
    Column("shown", Text, nullable=False, comment="as the customer gets it"),
    Column("pool", Text, nullable=False),
    Column("session_id", Text, comment="null until it is handed out"),
    Column("line_item_id", Text),
    Column("kind", Text),
    Column("position", Integer, comment="of the pieces that were bought, from 1"),
    Column("activation_limit", Integer, comment="null: any number"),
    Column("issued_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("disabled_at", DateTime(timezone=True)),
    Column(
        "reversed_at", DateTime(timezone=True), comment="null unless a reversal has disabled it"
    ),
    _created_at(),
    ForeignKeyConstraint(
        ["session_id", "line_item_id", "kind"],
        [fulfillments.c.session_id, fulfillments.c.line_item_id, fulfillments.c.kind],
    ),
    UniqueConstraint("session_id", "line_item_id", "kind", "position"),
)
Index(
    "ix_license_keys_free",
    license_keys.c.pool,
    postgresql_where=license_keys.c.session_id.is_(None),
)

license_activations = Table(
    "license_activations",
    metadata,
    Column("key", Text, ForeignKey(license_keys.c.key), primary_key=True),
    Column("instance", Text, primary_key=True, comment="what the software calls its machine"),
    Column("activated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("deactivated_at", DateTime(timezone=True)),
)

downloads = Table(
    "downloads",
    metadata,
    *_fulfillment_key(),
    Column("file", Text, primary_key=True, comment="below DOWNLOADS_FOLDER"),
    Column("allowed", Integer, comment="how often; null: any number"),
    Column("allowed_each", Integer, comment="how often for each piece that was bought"),
    Column("served_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("count", Integer, nullable=False, server_default=text("0"), comment="how often begun"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("last_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    _created_at(),
)

# When customers used what they had bought.
access_log = Table(
    "access_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("session_id", Text, nullable=False, index=True),
    Column("line_item_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("event", Text, nullable=False, comment="see database.access_log.Use"),
    Column("subject", Text, nullable=False, comment="a file, or a feature"),
    Column("ip", Text, comment="of the customer, where it was one; null once it is erased"),
    Column("user_agent", Text, comment="as ip"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(
        ["session_id", "line_item_id", "kind"],
        [fulfillments.c.session_id, fulfillments.c.line_item_id, fulfillments.c.kind],
    ),
)

# What the merchant's own service was asked to fulfill, and what it answered or called back.
service_calls = Table(
    "service_calls",
    metadata,
    *_fulfillment_key(),
    Column("id", Text, nullable=False, unique=True),
    Column("status", Text, nullable=False, comment="asked, pending, fulfilled or failed"),
    Column("reason", Text, comment="why it failed, for the operator"),
    Column("delivered", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    _created_at(),
    _updated_at(),
)

# What the customer is asked about a fulfillment, by a signed link.
questions = Table(
    "questions",
    metadata,
    *_fulfillment_key(),
    Column("name", Text, primary_key=True, comment="address or out_of_stock"),
    Column("default_at", DateTime(timezone=True), comment="when the default answer counts"),
    Column("answer", Text),
    Column("answered_by", Text, comment="customer, operator or default"),
    Column("answered_at", DateTime(timezone=True)),
    _created_at(),
)

shipments = Table(
    "shipments",
    metadata,
    *_fulfillment_key(),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("weight_grams", Integer, nullable=False, comment="of one piece"),
    Column("stock_taken", Boolean, nullable=False),
    Column("parts", JSONB, comment="pieces of each SKU in one piece of what was sold"),
    _created_at(),
    _updated_at(),
)

parcels = Table(
    "parcels",
    metadata,
    Column("session_id", Text, primary_key=True),
    Column("line_item_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("number", Integer, primary_key=True, comment="of the shipment's parcels, from 1"),
    Column("reference", Text, nullable=False, unique=True, comment="its name at the carrier"),
    Column("warehouse", Text, nullable=False),
    Column("items", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("status_at", DateTime(timezone=True)),
    Column("carrier_shipment_id", Text, index=True, comment="null until the carrier has booked"),
    Column("carrier", Text),
    Column("service", Text),
    Column("price_minor", BigInteger, comment="what the carrier charges"),
    Column("price_currency", Text),
    Column("label_url", Text),
    Column("tracking_number", Text, index=True),
    Column("tracking_url", Text),
    _created_at(),
    _updated_at(),
    ForeignKeyConstraint(
        ["session_id", "line_item_id", "kind"],
        [shipments.c.session_id, shipments.c.line_item_id, shipments.c.kind],
    ),
)

# What customers are asked to send back, since the money went back after the parcel had left.
returns = Table(
    "returns",
    metadata,
    Column("id", Text, primary_key=True, comment="ret_…"),
    Column("session_id", Text, nullable=False),
    Column("line_item_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("warehouse", Text, nullable=False, comment="where the pieces came from"),
    Column("quantity", Integer, nullable=False),
    Column("state", Text, nullable=False, comment="asked, received or withdrawn"),
    _created_at(),
    _updated_at(),
    ForeignKeyConstraint(
        ["session_id", "line_item_id", "kind"],
        [shipments.c.session_id, shipments.c.line_item_id, shipments.c.kind],
    ),
    Index("ix_returns_session_id", "session_id"),
)

# What carriers told of parcels, each event once.
tracking_events = Table(
    "tracking_events",
    metadata,
    Column("id", Text, primary_key=True, comment="the carrier's own"),
    Column(
        "reference",
        Text,
        ForeignKey(parcels.c.reference, ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("status", Text, nullable=False),
    Column("message", Text),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("told_at", DateTime(timezone=True), comment="null until the customer was told, if need"),
    _created_at(),
)
Index(
    "ix_tracking_events_untold",
    tracking_events.c.created_at,
    postgresql_where=tracking_events.c.told_at.is_(None),
)

skus = Table(
    "skus",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("low_at", Integer, comment="at this much or less on hand an event tells of it"),
    Column("is_low", Boolean, nullable=False, server_default=text("false")),
)

stock = Table(
    "stock",
    metadata,
    Column("sku", Text, ForeignKey(skus.c.sku), primary_key=True),
    Column("warehouse", Text, primary_key=True),
    Column("on_hand", Integer, CheckConstraint("on_hand >= 0", name="on_hand"), nullable=False),
    _updated_at(),
)

stock_movements = Table(
    "stock_movements",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("sku", Text, nullable=False),
    Column("warehouse", Text, nullable=False),
    Column("quantity", Integer, nullable=False, comment="negative when taken"),
    Column("reason", Text, nullable=False),
    Column("session_id", Text),
    Column("line_item_id", Text),
    Column("kind", Text),
    _created_at(),
    ForeignKeyConstraint(["sku", "warehouse"], [stock.c.sku, stock.c.warehouse]),
    Index("ix_stock_movements_sku", "sku", "warehouse"),
)

# Pieces that are held for an order whose delayed payment is under way. They are off the stock
# as long as the row says `held`.
stock_reservations = Table(
    "stock_reservations",
    metadata,
    Column("session_id", Text, ForeignKey(orders.c.session_id), primary_key=True),
    Column("line_item_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("sku", Text, primary_key=True, comment="what is taken: a bundle's parts"),
    Column("warehouse", Text, primary_key=True),
    Column("quantity", Integer, nullable=False),
    Column("state", Text, nullable=False, comment="held, used, released or expired"),
    Column("expires_at", DateTime(timezone=True), comment="null: with the payment's outcome"),
    _created_at(),
    _updated_at(),
)

Index(
    "ix_stock_reservations_expires_at",
    stock_reservations.c.expires_at,
    postgresql_where=stock_reservations.c.state == "held",
)

# The queue for stock: what paid shipments wait for, first come, first served. A row stays until
# its shipment has its stock, or is given up.
backorders = Table(
    "backorders",
    metadata,
    *_fulfillment_key(),
    Column("sku", Text, primary_key=True, comment="what is taken: a bundle's parts"),
    Column("quantity", Integer, nullable=False),
    Column("place", BigInteger, Identity(always=True), nullable=False, comment="in the queue"),
    _created_at(),
    Index("ix_backorders_sku", "sku", "place"),
)

# What is told to the merchant's own application, by Standard Webhooks.
messages = Table(
    "messages",
    metadata,
    Column("id", Text, primary_key=True, comment="msg_…"),
    Column("type", Text, nullable=False),
    Column("session_id", Text, ForeignKey(orders.c.session_id), index=True),
    Column("data", JSONB, nullable=False),
    Column("state", Text, nullable=False, index=True, comment="pending, delivered or failed"),
    _created_at(),
    _updated_at(),
)

message_attempts = Table(
    "message_attempts",
    metadata,
    Column("message_id", Text, ForeignKey(messages.c.id), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("status_code", Integer, comment="null when there was no answer"),
    Column("error", Text),
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

# How often an outside system may be asked: one row for each that has a limit.
paces = Table(
    "paces",
    metadata,
    Column("system", Text, primary_key=True),
    Column("next_at", DateTime(timezone=True), nullable=False, comment="the first turn left"),
)

# What was or is being mailed. A mail goes out once per row.
emails = Table(
    "emails",
    metadata,
    Column("session_id", Text, ForeignKey(orders.c.session_id), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("key", Text, primary_key=True, comment="tells mails of one name apart; often empty"),
    Column("recipient", Text, comment="null once it is erased"),
    Column("message_id", Text, nullable=False, unique=True),
    Column(
        "about",
        JSONB,
        nullable=False,
        server_default=text("'{}'::jsonb"),
        comment="which part of the order: see domain.mail.About",
    ),
    _created_at(),
    Column("sent_at", DateTime(timezone=True), comment="null until the mail server accepted it"),
    Column("bounced_at", DateTime(timezone=True)),
    Column("complained_at", DateTime(timezone=True)),
    Column("problem", Text, comment="what the mail provider said of a bounce or complaint"),
)
Index("ix_emails_recipient", func.lower(emails.c.recipient))
Index("ix_emails_unsent", emails.c.created_at, postgresql_where=emails.c.sent_at.is_(None))
