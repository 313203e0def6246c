"""A reader who takes his time gets the whole of the engine's log all the same."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from tests.http.conftest import TOKEN, app_of
from tests.support.master_rig import Rig

from silkmill.runtime.enginelog import EngineLog

LOG = b'{"event": "x", "level": "info", "timestamp": "2026-03-01T12:00:00Z"}\n' * 2000


@pytest.mark.parametrize("query", [b"", b"level=info", b"grep=event"])
async def test_an_hour_between_two_pieces(
    rig: Rig, tmp_path: Path, query: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "silkmill.jsonl").write_bytes(LOG)
    monotonic, hours, body = time.monotonic, 0, b""
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + hours * 3600)

    async def send(message: dict[str, Any]) -> None:
        nonlocal hours, body
        if message["type"] == "http.response.body":
            body += message["body"]
            hours += 1

    async def receive() -> dict[str, Any]:
        return await asyncio.get_running_loop().create_future()  # it does not leave

    headers = [(b"host", b"127.0.0.1:6810"), (b"authorization", f"Bearer {TOKEN}".encode())]
    where = {"path": "/api/v1/logs/system", "query_string": query, "headers": headers}
    scope = {"type": "http", "method": "GET", "http_version": "1.1", "scheme": "http", **where}
    await app_of(rig, EngineLog(tmp_path))(scope, receive, send)
    assert body == LOG
    assert hours > 2
