"""What operators do to orders: hold them, change where they go, find them"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column(
        "orders",
        sa.Column(
            "on_hold",
            sa.Boolean(),
            server_default=sa.text("false"),
            nullable=False,
            comment="whether an operator holds back what is not delivered yet",
        ),
    )
    op.add_column(
        "orders",
        sa.Column(
            "address_changed_at",
            sa.DateTime(timezone=True),
            comment="since then the shipping address is not Checkout's any more",
        ),
    )
    op.execute(
        "UPDATE orders SET address_changed_at = answered_at FROM questions "
        "WHERE questions.session_id = orders.session_id AND questions.answer = 'new_address'"
    )
    op.create_index(
        "ix_orders_customer_email", "orders", [sa.literal_column("lower(customer_email)")]
    )
    op.create_index(
        "ix_orders_client_reference_id",
        "orders",
        ["client_reference_id"],
        postgresql_where=sa.text("client_reference_id IS NOT NULL"),
    )
    op.create_index("ix_orders_checkout_created_at", "orders", ["checkout_created_at"])
    op.create_table(
        "alerts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False, comment="empty: the order as a whole"),
        sa.Column("cause", sa.Text(), nullable=False, comment="a stable word"),
        sa.Column("detail", sa.Text(), nullable=False, comment="no personal data"),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("mailed_at", sa.DateTime(timezone=True), comment="null until it is mailed"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["orders.session_id"], name=op.f("fk_alerts_session_id_orders")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sa.UniqueConstraint(
            "session_id", "step", "cause", name=op.f("uq_alerts_session_id_step_cause")
        ),
    )
    op.create_index(
        "ix_alerts_unmailed", "alerts", ["id"], postgresql_where=sa.text("mailed_at IS NULL")
    )
