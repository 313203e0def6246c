"""Queues instead of one queue, permits of open attempts, keys that submitters give."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("queue", "spider_permit", "project_permit", "submit_key"):
        op.add_column("tasks", sa.Column(name, sa.Text()))
    op.execute("UPDATE tasks SET queue = project || '/' || spider WHERE waiting_priority IS NOT NULL")
    op.drop_index("tasks_waiting", "tasks")
    _create_index_where_set("tasks_waiting", ["queue", "waiting_priority", "order_key", "id"])
    for name in ("spider_permit", "project_permit", "submit_key"):
        _create_index_where_set(f"{name}s", [name], unique=True)


def _create_index_where_set(name: str, columns: list[str], *, unique: bool = False) -> None:
    where = sa.text(f"{columns[0]} IS NOT NULL")
    op.create_index(name, "tasks", columns, unique=unique, sqlite_where=where)
