"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_tasks()
    _create_streams()
    _create_records()


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("id_reversed", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger()),
        sa.Column("session", sa.Text()),
        sa.Column("waiting_priority", sa.Integer()),
        sa.Column("order_key", sa.BigInteger(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("spider", sa.Text(), nullable=False),
        sa.Column("group_key", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("release_at", sa.BigInteger()),
        sa.Column("upkeep_at", sa.BigInteger()),
        sa.Column("log_offset", sa.BigInteger(), nullable=False),
        sa.Column("items_offset", sa.BigInteger(), nullable=False),
        sa.Column("items_count", sa.BigInteger(), nullable=False),
        sa.Column("doc", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tasks_by_id_end", "tasks", ["id_reversed"])
    op.create_index("tasks_by_state", "tasks", ["state", "id"])
    op.create_index("tasks_by_spider", "tasks", ["spider", "id"])
    _create_index_where_set("tasks_by_group", "group_key", "id")
    _create_index_where_set("tasks_waiting", "waiting_priority", "order_key", "id")
    _create_index_where_set("tasks_to_release", "release_at", "id")
    _create_index_where_set("tasks_for_upkeep", "upkeep_at", "id")
    op.create_index("tasks_with_open_attempt", "tasks", ["id"], sqlite_where=sa.text("attempt IS NOT NULL"))
    op.create_table(
        "task_tags",
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tag", "task_id"),
        sqlite_with_rowid=False,
    )


def _create_index_where_set(name: str, *columns: str) -> None:
    op.create_index(name, "tasks", list(columns), sqlite_where=sa.text(f"{columns[0]} IS NOT NULL"))


def _create_streams() -> None:
    op.create_table(
        "items",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("ordinal", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "attempt", "ordinal"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "log_tail",
        sa.Column("task_id", sa.Text(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("task_id", "attempt", "offset", "length"),
    )


def _create_records() -> None:
    op.create_table(
        "records",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("doc", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    pulse = op.create_table(
        "pulse",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("beats", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(pulse, [{"id": 1, "beats": 0}])
