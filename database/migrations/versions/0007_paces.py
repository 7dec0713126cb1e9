"""How often an outside system may be asked"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "paces",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column(
            "next_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="the first turn left",
        ),
        sa.PrimaryKeyConstraint("system", name="pk_paces"),
    )
