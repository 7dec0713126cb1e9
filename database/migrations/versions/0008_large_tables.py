"""Indexes and statistics that keep all statements quick in large tables"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_IS_UNSETTLED = "reversed - taken_back <> 0"


def upgrade() -> None:
    op.drop_index("ix_fulfillments_unsettled_reversals", "fulfillments")
    op.create_index(
        "ix_fulfillments_unsettled",
        "fulfillments",
        ["session_id"],
        postgresql_where=sa.text(_IS_UNSETTLED),
    )
    op.execute(
        "CREATE STATISTICS st_fulfillments_unsettled ON (reversed - taken_back) FROM fulfillments"
    )
    op.drop_index("ix_emails_recipient", "emails")
    op.create_index("ix_emails_recipient", "emails", [sa.text("lower(recipient)")])
    op.create_index(
        "ix_emails_unsent", "emails", ["created_at"], postgresql_where=sa.text("sent_at IS NULL")
    )
    op.create_index(
        "ix_orders_account",
        "orders",
        ["account", sa.literal_column("COALESCE(checkout_created_at, created_at)")],
        postgresql_where=sa.text("account IS NOT NULL"),
    )
    # No statement uses these.
    op.drop_index("ix_orders_checkout_created_at", "orders")
    op.drop_index("ix_stock_movements_session_id", "stock_movements")
