"""Refunds, disputes and early fraud warnings, and what they take back"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "reversals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False, comment="see domain.reversals.Cause"),
        sa.Column("status", sa.Text(), nullable=False, comment="Stripe's own word"),
        sa.Column(
            "counts", sa.Boolean(), nullable=False, comment="false once it failed, or was won"
        ),
        sa.Column("amount_minor", sa.BigInteger(), comment="null for a warning"),
        sa.Column("currency", sa.Text()),
        sa.Column("reason", sa.Text(), comment="Stripe's own word"),
        sa.Column(
            "lines",
            postgresql.JSONB(),
            comment="pieces by line item; null: nobody has said",
        ),
        sa.Column("problem", sa.Text(), comment="why nobody could tell which pieces"),
        sa.Column("decision", sa.Text(), comment="an operator's: revoke or keep"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="at Stripe"),
        sa.Column(
            "recorded_at",
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
            ["session_id"], ["orders.session_id"], name=op.f("fk_reversals_session_id_orders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reversals")),
    )
    op.create_index(op.f("ix_reversals_session_id"), "reversals", ["session_id"])
    op.alter_column(
        "audit",
        "by",
        comment="an operator, or who: see database.audit",
        existing_comment="an operator, or `customer`",
    )
    _refund_requests()
    _fulfillments()
    _returns()
    for table, comment in (
        ("entitlements", "null unless a reversal has revoked it"),
        ("license_keys", "null unless a reversal has disabled it"),
    ):
        op.add_column(table, sa.Column("reversed_at", sa.DateTime(timezone=True), comment=comment))
    op.add_column(
        "entitlements",
        sa.Column("checked_at", sa.DateTime(timezone=True), comment="as last noted in access_log"),
    )
    _access_log()
    op.add_column(
        "downloads",
        sa.Column("allowed_each", sa.Integer(), comment="how often for each piece that was bought"),
    )
    op.execute(
        "UPDATE downloads SET allowed_each = downloads.allowed / line_items.quantity "
        "FROM line_items WHERE line_items.session_id = downloads.session_id "
        "AND line_items.line_item_id = downloads.line_item_id AND line_items.quantity > 0"
    )


def _refund_requests() -> None:
    op.create_table(
        "refund_requests",
        sa.Column("id", sa.Text(), nullable=False, comment="rfr_…"),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="requested, made or given_up"),
        sa.Column(
            "lines",
            postgresql.JSONB(),
            nullable=False,
            comment="pieces by line item that it takes back",
        ),
        sa.Column("amount_minor", sa.BigInteger(), comment="null: all that is left"),
        sa.Column("currency", sa.Text()),
        sa.Column("reason", sa.Text(), comment="Stripe's own word"),
        sa.Column("by", sa.Text(), nullable=False, comment="an operator, or `policy`"),
        sa.Column("note", sa.Text(), nullable=False, comment="why; no personal data"),
        sa.Column("refund_id", sa.Text(), comment="at Stripe, once it is made"),
        sa.Column(
            "refusals",
            sa.Integer(),
            server_default=sa.text("0"),
            nullable=False,
            comment="of Stripe's",
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
            ["session_id"],
            ["orders.session_id"],
            name=op.f("fk_refund_requests_session_id_orders"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refund_requests")),
    )
    op.create_index(op.f("ix_refund_requests_session_id"), "refund_requests", ["session_id"])
    op.create_index(
        "ix_refund_requests_open",
        "refund_requests",
        ["updated_at"],
        postgresql_where=sa.text("state = 'requested'"),
    )


def _access_log() -> None:
    op.create_table(
        "access_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False, comment="see database.access_log.Use"),
        sa.Column("subject", sa.Text(), nullable=False, comment="a file, or a feature"),
        sa.Column(
            "ip", sa.Text(), comment="of the customer, where it was one; null once it is erased"
        ),
        sa.Column("user_agent", sa.Text(), comment="as ip"),
        sa.Column(
            "at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["session_id", "line_item_id", "kind"],
            ["fulfillments.session_id", "fulfillments.line_item_id", "fulfillments.kind"],
            name=op.f("fk_access_log_session_id_line_item_id_kind_fulfillments"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_log")),
    )
    op.create_index(op.f("ix_access_log_session_id"), "access_log", ["session_id"])


def _returns() -> None:
    op.create_table(
        "returns",
        sa.Column("id", sa.Text(), nullable=False, comment="ret_…"),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("warehouse", sa.Text(), nullable=False, comment="where the pieces came from"),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="asked, received or withdrawn"),
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
            name=op.f("fk_returns_session_id_line_item_id_kind_shipments"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returns")),
    )
    op.create_index("ix_returns_session_id", "returns", ["session_id"])
    op.add_column(
        "shipments",
        sa.Column(
            "parts",
            postgresql.JSONB(),
            comment="pieces of each SKU in one piece of what was sold",
        ),
    )
    op.execute(
        "UPDATE shipments SET parts = packed.parts FROM ("
        " SELECT session_id, line_item_id, kind, jsonb_object_agg(part, pieces) AS parts FROM ("
        "  SELECT shipments.session_id, shipments.line_item_id, shipments.kind,"
        "   item ->> 'sku' AS part,"
        "   sum((item ->> 'quantity')::integer) / shipments.quantity AS pieces"
        "  FROM shipments JOIN parcels USING (session_id, line_item_id, kind),"
        "   jsonb_array_elements(parcels.items) AS item"
        "  WHERE shipments.quantity > 0"
        "  GROUP BY shipments.session_id, shipments.line_item_id, shipments.kind, part) AS packs"
        " GROUP BY session_id, line_item_id, kind) AS packed"
        " WHERE packed.session_id = shipments.session_id"
        " AND packed.line_item_id = shipments.line_item_id AND packed.kind = shipments.kind"
    )


def _fulfillments() -> None:
    for name, comment in (
        ("reversed", "pieces that are to be taken back, or not to be delivered"),
        ("taken_back", "how many of them are: it follows `reversed`"),
    ):
        op.add_column(
            "fulfillments",
            sa.Column(
                name, sa.Integer(), server_default=sa.text("0"), nullable=False, comment=comment
            ),
        )
    op.add_column(
        "fulfillments",
        sa.Column(
            "held",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether its delivery has to wait for how a reversal ends",
        ),
    )
    op.add_column(
        "fulfillments",
        sa.Column(
            "fulfilled_at",
            sa.DateTime(timezone=True),
            comment="when it was delivered first",
        ),
    )
    op.add_column(
        "fulfillments",
        sa.Column(
            "by_hand",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether a person has delivered it, who is to take it back too",
        ),
    )
    # The best that is known of those from before.
    op.execute("UPDATE fulfillments SET fulfilled_at = updated_at WHERE state = 'fulfilled'")
    op.execute("UPDATE fulfillments SET by_hand = true WHERE note LIKE 'mark_fulfilled by %'")
    op.create_index(
        "ix_fulfillments_unsettled_reversals",
        "fulfillments",
        ["session_id"],
        postgresql_where=sa.text("reversed <> taken_back"),
    )


def downgrade() -> None:
    op.alter_column(
        "audit",
        "by",
        comment="an operator, or `customer`",
        existing_comment="an operator, or who: see database.audit",
    )
    op.drop_table("returns")
    op.drop_table("access_log")
    op.drop_column("entitlements", "checked_at")
    op.drop_column("shipments", "parts")
    op.drop_index("ix_fulfillments_unsettled_reversals", "fulfillments")
    for name in ("reversed", "taken_back", "held", "fulfilled_at", "by_hand"):
        op.drop_column("fulfillments", name)
    op.drop_column("downloads", "allowed_each")
    op.drop_column("license_keys", "reversed_at")
    op.drop_column("entitlements", "reversed_at")
    op.drop_table("refund_requests")
    op.drop_table("reversals")
