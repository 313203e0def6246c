"""Every error as problem+json (RFC 9457): what happened, which field, what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import TypedDict

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from silkmill.adapters.http.answers import encode
from silkmill.domain.errors import (
    Ambiguous,
    BadInput,
    Conflict,
    Duplicate,
    EngineLeaves,
    NotFound,
    SilkmillError,
    Unavailable,
)

RETRY_AFTER_SECONDS = 2
_log = structlog.get_logger(__name__)


class ProblemShape(TypedDict):
    """An error (RFC 9457): what happened, which field is wrong, what to do."""

    title: str
    status: int
    detail: str
    field: str | None
    remedy: str | None


class Refusal(SilkmillError):
    """An error of HTTP itself: who asks, from where, how much."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str | None = None,
        remedy: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.status, self.detail, self.field, self.remedy, self.headers = (
            status,
            detail,
            field,
            remedy,
            headers,
        )
        super().__init__(detail)


def problem(
    status: int,
    detail: str,
    *,
    field: str | None = None,
    remedy: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    title = HTTPStatus(status).phrase
    facts = ProblemShape(title=title, status=status, detail=detail, field=field, remedy=remedy)
    return Response(encode(facts), status, headers, "application/problem+json")


def install(app: FastAPI) -> None:
    for kind, handler in {
        SilkmillError: _refused,
        RequestValidationError: _invalid,
        HTTPException: _unknown_route,
        Exception: _defect,
    }.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]


async def _refused(_: Request, error: SilkmillError) -> Response:
    return refusal(error)


def refusal(error: SilkmillError) -> Response:
    match error:
        case Refusal():
            return problem(
                error.status, error.detail, field=error.field, remedy=error.remedy, headers=error.headers
            )
        case BadInput():
            return problem(422, error.detail, field=error.field, remedy=error.remedy or "correct the value")
        case NotFound():
            remedy = error.remedy or "list what there is first"
            return problem(404, error.detail, field=error.kind, remedy=remedy)
        case Ambiguous():
            detail = f"{error.name!r} fits several tasks: {', '.join(error.candidates)}"
            return problem(409, detail, field="id", remedy="give more characters")
        case Conflict() | Duplicate():
            return problem(409, str(error), remedy="read it again, then decide again")
        case EngineLeaves():
            return problem(503, str(error), field="engine", remedy="repeat it, or start `silkmill up`")
        case Unavailable():
            return problem(
                503,
                str(error),
                field=error.part,
                remedy=f"repeat after {RETRY_AFTER_SECONDS} s; the request may have been carried out",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
    return problem(409, str(error), remedy="look at the task with `silkmill show`")


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    field = str(first["loc"][1])  # after where it was: query, path or header; an index may follow
    return problem(
        422, f"{field}: {first['msg']}", field=field, remedy="docs/http.md lists the route's fields"
    )


async def _unknown_route(request: Request, error: HTTPException) -> Response:
    detail = f"{request.method} {request.url.path}: {error.detail}"
    headers = dict(error.headers) if error.headers else None
    return problem(error.status_code, detail, remedy="docs/http.md lists the routes", headers=headers)


async def _defect(request: Request, error: Exception) -> Response:
    _log.error("request failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(
        500, f"{type(error).__name__} in the server", remedy="look at the server's log, and report it"
    )
