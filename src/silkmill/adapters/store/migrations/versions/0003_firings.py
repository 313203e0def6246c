"""Firings of schedules: each at most one task, and tasks that wait for an earlier one."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("firing", "open_firing", "waits_after"):
        op.add_column("tasks", sa.Column(name, sa.Text()))
    _create_index_where_set("tasks_by_firing", "firing", unique=True)
    _create_index_where_set("tasks_by_open_firing", "open_firing")
    _create_index_where_set("tasks_waiting_after", "waits_after", "id")


def _create_index_where_set(name: str, *columns: str, unique: bool = False) -> None:
    where = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, "tasks", list(columns), unique=unique, sqlite_where=where)
