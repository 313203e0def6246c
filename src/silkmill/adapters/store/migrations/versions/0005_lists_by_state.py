"""Every list of tasks is a range of an index in each state, and tasks are counted as they change."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

PLACES = {"project": ["project"], "spider": ["spider"], "project_and_spider": ["project", "spider"]}


def upgrade() -> None:
    op.drop_index("tasks_by_spider", "tasks")
    for name, columns in PLACES.items():
        op.create_index(f"tasks_by_{name}", "tasks", [*columns, "state", "id"])
    _replace_tags()
    _create_counts()


def _replace_tags() -> None:
    op.rename_table("task_tags", "old_task_tags")
    op.create_table(
        "task_tags",
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("tag", "state", "task_id", "project", "spider")
        ),
        sa.PrimaryKeyConstraint("tag", "state", "task_id"),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO task_tags SELECT tag, state, task_id, project, spider"
        " FROM old_task_tags JOIN tasks ON tasks.id = task_id"
    )
    op.drop_table("old_task_tags")
    for name, columns in PLACES.items():
        op.create_index(f"tags_by_{name}", "task_tags", ["tag", *columns, "state", "task_id"])


def _create_counts() -> None:
    op.create_table(
        "task_counts",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("project", "spider", "state")),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project", "spider", "state"),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT INTO task_counts SELECT project, spider, state, count(*) FROM tasks GROUP BY 1, 2, 3")
