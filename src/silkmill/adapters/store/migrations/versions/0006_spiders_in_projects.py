"""A spider is looked for in its project: the indexes by spider alone cost each change of state two pages."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.drop_index("tasks_by_spider", "tasks")
    op.drop_index("tags_by_spider", "task_tags")
