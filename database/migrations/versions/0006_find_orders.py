"""Indexes by which operators list and find orders"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_index(
        "ix_orders_created",
        "orders",
        [sa.literal_column("COALESCE(checkout_created_at, created_at)")],
    )
    op.create_index(
        "ix_orders_error",
        "orders",
        ["session_id"],
        postgresql_where=sa.text("error IS NOT NULL"),
    )
    op.create_index(
        "ix_orders_on_hold", "orders", ["session_id"], postgresql_where=sa.text("on_hold")
    )
    for name in ("customer_id", "subscription_id"):
        op.create_index(
            f"ix_orders_{name}",
            "orders",
            [name],
            postgresql_where=sa.text(f"{name} IS NOT NULL"),
        )
    op.create_index(
        "ix_fulfillments_for_operators",
        "fulfillments",
        ["session_id"],
        postgresql_where=sa.text("state IN ('action_required', 'awaiting_operator')"),
    )
    op.create_index(
        "ix_reversals_problem",
        "reversals",
        ["session_id"],
        postgresql_where=sa.text("problem IS NOT NULL"),
    )
