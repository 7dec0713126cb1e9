"""Details kept, reservations and sweeps"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "sweeps",
        sa.Column("livemode", sa.Boolean(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False, comment="empty for our own"),
        sa.Column(
            "began_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="orders before it were somebody else's to fulfill",
        ),
        sa.Column("swept_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("livemode", "account", name=op.f("pk_sweeps")),
    )
    op.create_table(
        "stock_reservations",
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("line_item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("sku", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False, comment="held, used or released"),
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
            name=op.f("fk_stock_reservations_session_id_orders"),
        ),
        sa.PrimaryKeyConstraint(
            "session_id", "line_item_id", "kind", name=op.f("pk_stock_reservations")
        ),
    )
    op.add_column(
        "line_items",
        sa.Column(
            "quantity_offer",
            postgresql.JSONB(astext_type=sa.Text()),
            nullable=True,
            comment="between what the customer could choose",
        ),
    )
    op.add_column("line_items", sa.Column("amount_discount_minor", sa.BigInteger(), nullable=True))
    op.add_column("line_items", sa.Column("amount_tax_minor", sa.BigInteger(), nullable=True))
    op.alter_column(
        "line_items",
        "quantity",
        existing_type=sa.INTEGER(),
        comment="what was bought",
        existing_nullable=False,
    )
    op.add_column(
        "orders",
        sa.Column(
            "mismatch", sa.Text(), nullable=True, comment="which of Stripe's sums do not add up"
        ),
    )
    op.add_column(
        "orders",
        sa.Column(
            "account",
            sa.Text(),
            nullable=True,
            comment="the connected account that sells; null for our own",
        ),
    )
    op.add_column("orders", sa.Column("subscription_id", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("payment_link_id", sa.Text(), nullable=True))
    op.add_column(
        "orders",
        sa.Column("payment_method", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    op.add_column(
        "orders",
        sa.Column(
            "presentment_amount_minor",
            sa.BigInteger(),
            nullable=True,
            comment="what the customer saw, if it differs",
        ),
    )
    op.add_column("orders", sa.Column("presentment_currency", sa.Text(), nullable=True))
    op.add_column("orders", sa.Column("customer_id", sa.Text(), nullable=True))
    op.add_column(
        "orders", sa.Column("collected", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.add_column(
        "orders", sa.Column("custom_fields", postgresql.JSONB(astext_type=sa.Text()), nullable=True)
    )
    op.create_index(op.f("ix_orders_state"), "orders", ["state"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_orders_state"), table_name="orders")
    op.drop_column("orders", "custom_fields")
    op.drop_column("orders", "collected")
    op.drop_column("orders", "customer_id")
    op.drop_column("orders", "presentment_currency")
    op.drop_column("orders", "presentment_amount_minor")
    op.drop_column("orders", "payment_method")
    op.drop_column("orders", "payment_link_id")
    op.drop_column("orders", "subscription_id")
    op.drop_column("orders", "account")
    op.drop_column("orders", "mismatch")
    op.alter_column(
        "line_items",
        "quantity",
        existing_type=sa.INTEGER(),
        comment=None,
        existing_comment="what was bought",
        existing_nullable=False,
    )
    op.drop_column("line_items", "amount_tax_minor")
    op.drop_column("line_items", "amount_discount_minor")
    op.drop_column("line_items", "quantity_offer")
    op.drop_table("stock_reservations")
    op.drop_table("sweeps")
