"""Lists the versions of each spider, which were looked for among all versions before."""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

records = sa.table(
    "records",
    sa.column("kind", sa.Text()),
    sa.column("key", sa.Text()),
    sa.column("revision", sa.BigInteger()),
    sa.column("change_id", sa.Text()),
    sa.column("doc", sa.LargeBinary()),
)


def upgrade() -> None:
    """One manifest in memory at a time: each may name ten thousands of files."""
    versions = sa.select(records.c.key).where(records.c.kind == "version")
    for (key,) in op.get_bind().execute(versions).fetchall():
        doc = sa.select(records.c.doc).where(records.c.kind == "version", records.c.key == key)
        version = json.loads(op.get_bind().execute(doc).scalar_one())
        op.bulk_insert(records, list(_listed(version)))


def _listed(version: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for spider in version["spiders"]:
        listed = {
            "project": version["project"],
            "spider": spider,
            "version": version["id"],
            "files": len(version["files"]),
            "bytes": sum(file["size"] for file in version["files"]),
            "created_at": version["created_at"],
        }
        yield {
            "kind": "spiderversion",
            "key": f"{version['project']}/{spider}/{version['id']}",
            "revision": 0,
            "change_id": "",
            "doc": json.dumps(listed).encode(),
        }
