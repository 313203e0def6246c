"""Answers of the API held against docs/openapi.json: every one that a test gets through this transport."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
from tests.support.json_schema import faults

DOCUMENT: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "docs" / "openapi.json").read_text(encoding="utf-8")
)
EVENTS = {
    name: schema
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
    for name, schema in operation.get("x-events", {}).items()
}
ANYWHERE = {"400", "405", "431", "500"}
"""What may befall any request; of such errors the document has only one description."""


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(path)) + r"\Z")


# What has no parameter comes first: /tasks/counts is no task.
_PATHS = [(_pattern(path), path) for path in sorted(DOCUMENT["paths"], key=lambda path: path.count("{"))]


def operation_of(method: str, path: str) -> tuple[str, str] | None:
    """The path of the document and the method; None for a route that there is not."""
    for pattern, known in _PATHS:
        if pattern.match(path) and method.lower() in DOCUMENT["paths"][known]:
            return known, method.lower()
    return None


def check_answer(method: str, path: str, answer: httpx.Response) -> tuple[str, str, str] | None:
    """Which answer of the document it is; fails when that is not as it says."""
    found = operation_of(method, path)
    if found is None:
        return None
    known, responses = str(answer.status_code), DOCUMENT["paths"][found[0]][found[1]]["responses"]
    if known not in responses:
        assert known in ANYWHERE, f"{found} answers {known}, and the document has only {list(responses)}"
        known = "default"
    said = responses[known]
    if "$ref" in said:
        said = DOCUMENT["components"]["responses"][said["$ref"].rpartition("/")[2]]
    _check_content(found, said.get("content", {}), answer)
    return *found, known


def _check_content(where: tuple[str, str], content: dict[str, Any], answer: httpx.Response) -> None:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if not content:
        assert not answer.content, f"{where}: a body where the document has none"
        return
    assert kind in content, f"{where} answers with {kind}, and the document has {list(content)}"
    if schema := content[kind].get("schema"):
        wrong = list(faults(json.loads(answer.content, parse_int=_integer), schema, DOCUMENT))
        assert not wrong, f"{where} {answer.status_code}: {wrong[:5]}"


def _integer(digits: str) -> int:
    """Of any length: what a spider saves keeps every digit, and Python refuses to read so many."""
    return int(digits[:4000])


def check_event(name: str, value: Any) -> None:
    """Of a stream of events."""
    wrong = list(faults(value, EVENTS[name], DOCUMENT))
    assert not wrong, f"{name}: {wrong[:5]}"


class CheckedTransport(httpx.AsyncBaseTransport):
    """`seen`: how often each answer of the document was met."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner
        self.seen: Counter[tuple[str, str, str]] = Counter()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        if met := check_answer(request.method, request.url.path, answer):
            self.seen[met] += 1
        return answer
