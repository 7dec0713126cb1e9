"""Kinds, parcels, warehouses, messages"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _orders()
    _messages()
    _emails()
    _entitlements()
    _licenses_and_downloads()
    _services_and_questions()
    _parcels()
    _stock()
    _reservations_and_queue()


def _orders() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False, comment="an operator, or `customer`"),
        sa.Column("detail", sa.Text(), nullable=False, comment="no personal data"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["orders.session_id"], name=op.f("fk_audit_session_id_orders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index(op.f("ix_audit_session_id"), "audit", ["session_id"], unique=False)
    op.add_column(
        "orders",
        sa.Column(
            "erased_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when its personal data was erased",
        ),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Text(), nullable=False, comment="msg_…"),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="pending, delivered or failed"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["orders.session_id"], name=op.f("fk_messages_session_id_orders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
    )
    op.create_index(op.f("ix_messages_session_id"), "messages", ["session_id"], unique=False)
    op.create_index(op.f("ix_messages_state"), "messages", ["state"], unique=False)
    op.create_table(
        "message_attempts",
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column(
            "status_code", sa.Integer(), nullable=True, comment="null when there was no answer"
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["message_id"], ["messages.id"], name=op.f("fk_message_attempts_message_id_messages")
        ),
        sa.PrimaryKeyConstraint("message_id", "number", name=op.f("pk_message_attempts")),
    )


def _emails() -> None:
    op.add_column(
        "emails",
        sa.Column(
            "key",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="tells mails of one name apart; often empty",
        ),
    )
    op.alter_column("emails", "key", server_default=None)
    op.drop_constraint("pk_emails", "emails", type_="primary")
    op.create_primary_key("pk_emails", "emails", ["session_id", "name", "key"])
    op.add_column("emails", sa.Column("bounced_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("emails", sa.Column("complained_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "emails",
        sa.Column(
            "problem",
            sa.Text(),
            nullable=True,
            comment="what the mail provider said of a bounce or complaint",
        ),
    )
    op.alter_column(
        "emails",
        "recipient",
        existing_type=sa.TEXT(),
        nullable=True,
        comment="null once it is erased",
    )
    op.create_unique_constraint(op.f("uq_emails_message_id"), "emails", ["message_id"])
    op.create_index(op.f("ix_emails_recipient"), "emails", ["recipient"], unique=False)
    op.add_column(
        "emails",
        sa.Column(
            "about",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=False,
            server_default=sa.text("'{}'::jsonb"),
            comment="which part of the order: see domain.mail.About",
        ),
    )


def _entitlements() -> None:
    op.add_column("entitlements", sa.Column("id", sa.Text()))
    op.execute("UPDATE entitlements SET id = 'ent_' || replace(gen_random_uuid()::text, '-', '')")
    op.alter_column("entitlements", "id", nullable=False)
    op.add_column("entitlements", sa.Column("customer_id", sa.Text(), nullable=True))
    op.add_column("entitlements", sa.Column("client_reference_id", sa.Text(), nullable=True))
    op.add_column("entitlements", sa.Column("starts_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE entitlements e SET starts_at = e.created_at, customer_id = o.customer_id, "
        "client_reference_id = o.client_reference_id FROM orders o "
        "WHERE o.session_id = e.session_id"
    )
    op.alter_column("entitlements", "starts_at", nullable=False)
    op.add_column(
        "entitlements",
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: it does not end by itself",
        ),
    )
    op.add_column(
        "entitlements", sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.add_column("entitlements", sa.Column("revoked_because", sa.Text(), nullable=True))
    op.alter_column(
        "entitlements",
        "quantity",
        existing_type=sa.INTEGER(),
        comment="seats",
        existing_nullable=False,
    )
    op.drop_index(op.f("ix_entitlements_customer_email"), table_name="entitlements")
    op.create_index(
        "ix_entitlements_customer_email",
        "entitlements",
        [sa.literal_column("lower(customer_email)")],
        unique=False,
    )
    op.create_index(
        op.f("ix_entitlements_client_reference_id"),
        "entitlements",
        ["client_reference_id"],
        unique=False,
    )
    op.create_index(
        op.f("ix_entitlements_customer_id"), "entitlements", ["customer_id"], unique=False
    )
    op.create_index(
        "ix_entitlements_customer",
        "entitlements",
        [
            sa.literal_column("coalesce(customer_id, client_reference_id, lower(customer_email))"),
            "feature",
        ],
        unique=False,
    )
    op.create_unique_constraint(op.f("uq_entitlements_id"), "entitlements", ["id"])
    op.add_column(
        "fulfillments",
        sa.Column(
            "delivered",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
            comment="what the customer has in hand: see domain.orders.Deliverable",
        ),
    )
    op.execute(
        "UPDATE fulfillments f SET delivered = jsonb_build_array(jsonb_build_object("
        "'type', 'link', 'label', '', 'value', e.url)) FROM entitlements e "
        "WHERE (e.session_id, e.line_item_id, e.kind) = (f.session_id, f.line_item_id, f.kind)"
    )


def _licenses_and_downloads() -> None:
    op.create_table(
        "downloads",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False, comment="below DOWNLOADS_FOLDER"),
        sa.Column("allowed", sa.Integer(), nullable=True, comment="how often; null: any number"),
        sa.Column("served_bytes", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column(
            "count",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="how often begun",
        ),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["fulfillments.session_id", "fulfillments.line_item_id", "fulfillments.kind"],
            name=op.f("fk_downloads_session_id_line_item_id_kind_fulfillments"),
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "line_item_id", "kind", "file", name=op.f("pk_downloads")
        ),
    )
    op.create_table(
        "license_keys",
        sa.Column("key", sa.Text(), nullable=False, comment="in its normal form"),
        sa.Column("shown", sa.Text(), nullable=False, comment="as the customer gets it"),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=True, comment="null until it is handed out"),
        sa.Column("line_item_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=True,
            comment="of the pieces that were bought, from 1",
        ),
        sa.Column("activation_limit", sa.Integer(), nullable=True, comment="null: any number"),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["fulfillments.session_id", "fulfillments.line_item_id", "fulfillments.kind"],
            name=op.f("fk_license_keys_session_id_line_item_id_kind_fulfillments"),
        ),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_license_keys")),
        sa.UniqueConstraint(
            "session_id",
            "line_item_id",
            "kind",
            "position",
            name=op.f("uq_license_keys_session_id_line_item_id_kind_position"),
        ),
    )
    op.create_index(
        "ix_license_keys_free",
        "license_keys",
        ["pool"],
        unique=False,
        postgresql_where=sa.text("session_id IS NULL"),
    )
    op.create_table(
        "license_activations",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column(
            "instance", sa.Text(), nullable=False, comment="what the software calls its machine"
        ),
        sa.Column(
            "activated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("deactivated_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["key"], ["license_keys.key"], name=op.f("fk_license_activations_key_license_keys")
        ),
        sa.PrimaryKeyConstraint("key", "instance", name=op.f("pk_license_activations")),
    )


def _services_and_questions() -> None:
    op.create_table(
        "questions",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="address or out_of_stock"),
        sa.Column(
            "default_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="when the default answer counts",
        ),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("answered_by", sa.Text(), nullable=True, comment="customer, operator or default"),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["fulfillments.session_id", "fulfillments.line_item_id", "fulfillments.kind"],
            name=op.f("fk_questions_session_id_line_item_id_kind_fulfillments"),
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "line_item_id", "kind", "name", name=op.f("pk_questions")
        ),
    )
    op.create_table(
        "service_calls",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column(
            "status", sa.Text(), nullable=False, comment="asked, pending, fulfilled or failed"
        ),
        sa.Column("reason", sa.Text(), nullable=True, comment="why it failed, for the operator"),
        sa.Column(
            "delivered",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["fulfillments.session_id", "fulfillments.line_item_id", "fulfillments.kind"],
            name=op.f("fk_service_calls_session_id_line_item_id_kind_fulfillments"),
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "line_item_id", "kind", name=op.f("pk_service_calls")
        ),
        sa.UniqueConstraint("id", name=op.f("uq_service_calls_id")),
    )


def _parcels() -> None:
    op.create_table(
        "parcels",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column(
            "number", sa.Integer(), nullable=False, comment="of the shipment's parcels, from 1"
        ),
        sa.Column("reference", sa.Text(), nullable=False, comment="its name at the carrier"),
        sa.Column("warehouse", sa.Text(), nullable=False),
        sa.Column("items", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "carrier_shipment_id",
            sa.Text(),
            nullable=True,
            comment="null until the carrier has booked",
        ),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column(
            "price_minor", sa.BigInteger(), nullable=True, comment="what the carrier charges"
        ),
        sa.Column("price_currency", sa.Text(), nullable=True),
        sa.Column("label_url", sa.Text(), nullable=True),
        sa.Column("tracking_number", sa.Text(), nullable=True),
        sa.Column("tracking_url", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["shipments.session_id", "shipments.line_item_id", "shipments.kind"],
            name=op.f("fk_parcels_session_id_line_item_id_kind_shipments"),
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "line_item_id", "kind", "number", name=op.f("pk_parcels")
        ),
        sa.UniqueConstraint("reference", name=op.f("uq_parcels_reference")),
    )
    op.create_index(
        op.f("ix_parcels_carrier_shipment_id"), "parcels", ["carrier_shipment_id"], unique=False
    )
    op.create_index(
        op.f("ix_parcels_tracking_number"), "parcels", ["tracking_number"], unique=False
    )
    op.create_table(
        "tracking_events",
        sa.Column("id", sa.Text(), nullable=False, comment="the carrier's own"),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "told_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null until the customer was told, if need",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["reference"],
            ["parcels.reference"],
            name=op.f("fk_tracking_events_reference_parcels"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracking_events")),
    )
    op.create_index(
        op.f("ix_tracking_events_reference"), "tracking_events", ["reference"], unique=False
    )
    op.create_index(
        "ix_tracking_events_untold",
        "tracking_events",
        ["created_at"],
        unique=False,
        postgresql_where=sa.text("told_at IS NULL"),
    )
    op.execute(
        "INSERT INTO parcels (session_id, line_item_id, kind, number, reference, warehouse, "
        "items, status, status_at, carrier_shipment_id, carrier, tracking_number, tracking_url, "
        "created_at) "
        "SELECT session_id, line_item_id, kind, 1, "
        "session_id || ':' || line_item_id || ':' || kind, 'main', "
        "jsonb_build_array(jsonb_build_object('sku', sku, 'quantity', quantity, "
        "'weight_grams', weight_grams)), "
        "CASE WHEN carrier_shipment_id IS NULL THEN 'planned' ELSE 'booked' END, updated_at, "
        "carrier_shipment_id, carrier, tracking_number, tracking_url, created_at "
        "FROM shipments WHERE stock_taken"
    )
    op.alter_column(
        "shipments",
        "weight_grams",
        existing_type=sa.INTEGER(),
        comment="of one piece",
        existing_nullable=False,
    )
    op.drop_column("shipments", "tracking_url")
    op.drop_column("shipments", "carrier")
    op.drop_column("shipments", "tracking_number")
    op.drop_column("shipments", "carrier_shipment_id")


def _stock() -> None:
    op.create_table(
        "skus",
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column(
            "low_at",
            sa.Integer(),
            nullable=True,
            comment="at this much or less on hand an event tells of it",
        ),
        sa.Column("is_low", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("sku", name=op.f("pk_skus")),
    )
    op.execute("INSERT INTO skus (sku) SELECT sku FROM stock")
    op.drop_constraint("fk_stock_movements_sku_stock", "stock_movements", type_="foreignkey")
    for table in ("stock", "stock_movements", "stock_reservations"):
        op.add_column(
            table, sa.Column("warehouse", sa.Text(), nullable=False, server_default="main")
        )
        op.alter_column(table, "warehouse", server_default=None)
    op.drop_constraint("pk_stock", "stock", type_="primary")
    op.create_primary_key("pk_stock", "stock", ["sku", "warehouse"])
    op.create_foreign_key(op.f("fk_stock_sku_skus"), "stock", "skus", ["sku"], ["sku"])
    op.drop_index(op.f("ix_stock_movements_sku"), table_name="stock_movements")
    op.create_index("ix_stock_movements_sku", "stock_movements", ["sku", "warehouse"], unique=False)
    op.create_foreign_key(
        op.f("fk_stock_movements_sku_warehouse_stock"),
        "stock_movements",
        "stock",
        ["sku", "warehouse"],
        ["sku", "warehouse"],
    )
    op.create_check_constraint(op.f("ck_stock_on_hand"), "stock", "on_hand >= 0")


def _reservations_and_queue() -> None:
    op.drop_constraint("pk_stock_reservations", "stock_reservations", type_="primary")
    op.create_primary_key(
        "pk_stock_reservations",
        "stock_reservations",
        ["session_id", "line_item_id", "kind", "sku", "warehouse"],
    )
    op.add_column(
        "stock_reservations",
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: with the payment's outcome",
        ),
    )
    op.alter_column(
        "stock_reservations",
        "sku",
        existing_type=sa.TEXT(),
        comment="what is taken: a bundle's parts",
        existing_nullable=False,
    )
    op.alter_column(
        "stock_reservations",
        "state",
        existing_type=sa.TEXT(),
        comment="held, used, released or expired",
        existing_comment="held, used or released",
        existing_nullable=False,
    )
    op.create_index(
        "ix_stock_reservations_expires_at",
        "stock_reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_table(
        "backorders",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False, comment="what is taken: a bundle's parts"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column(
            "place",
            sa.BigInteger(),
            sa.Identity(always=True),
            nullable=False,
            comment="in the queue",
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["fulfillments.session_id", "fulfillments.line_item_id", "fulfillments.kind"],
            name=op.f("fk_backorders_session_id_line_item_id_kind_fulfillments"),
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "line_item_id", "kind", "sku", name=op.f("pk_backorders")
        ),
    )
    op.create_index("ix_backorders_sku", "backorders", ["sku", "place"], unique=False)
