"""A random token for every activity, and what was tried when something failed."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns are only added: SQLite would have to make the table anew for more, and other tables refer to it.
    op.add_column("activities", sa.Column("token", sa.String(length=16), server_default=sa.text("''"), nullable=False))
    op.create_index("ix_activities_rescheduled_from", "activities", ["rescheduled_from"], unique=False)
    activities = sa.table("activities", sa.column("id", sa.BigInteger()), sa.column("token", sa.String()))
    connection = op.get_bind()
    known = connection.execute(sa.select(activities.c.id)).scalars().all()
    if known:
        given = activities.update().where(activities.c.id == sa.bindparam("known")).values(token=sa.bindparam("made"))
        connection.execute(given, [{"known": each, "made": secrets.token_hex(8)} for each in known])
    op.add_column("retries", sa.Column("failed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("retries", sa.Column("crm_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("retries", sa.Column("change_key", sa.Text(), server_default=sa.text("''"), nullable=False))
