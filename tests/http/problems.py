"""What every refusal of the API looks like."""

from __future__ import annotations

from typing import Any

import httpx


def assert_problem(answer: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    """problem+json with a remedy; `field` None leaves the field open."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == problem["status"] == status, problem
    assert set(problem) == {"title", "status", "detail", "field", "remedy"}
    assert problem["title"] and problem["detail"] and problem["remedy"]
    assert problem["remedy"] not in problem["detail"], "clients show both"
    if field is not None:
        assert problem["field"] == field, problem
    return problem
