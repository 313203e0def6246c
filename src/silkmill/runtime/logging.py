"""The engine's own log: readable lines on stderr, JSON lines in a file that rotates by size."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

FILE_NAME = "silkmill.jsonl"
FILE_BYTES = 10 * 1024 * 1024
FILES_KEPT = 5

# What every line carries, ours and those of libraries that use the standard logging module.
_COMMON: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def set_up(directory: Path | None = None, *, level: str = "INFO") -> None:
    """Send the log to stderr and, when given, to `directory`/silkmill.jsonl (10 MiB, 5 older ones kept).

    Call it once, at the start of a process. Raises OSError when the file cannot be opened."""
    handlers: list[logging.Handler] = [_stderr()]
    if directory is not None:
        handlers.append(_file(directory / FILE_NAME))
    logging.basicConfig(level=level, handlers=handlers, force=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    renderer = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    handler.setFormatter(_formatter(renderer))
    return handler


def _file(path: Path) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
    handler.setFormatter(
        _formatter(structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    )
    return handler


def _formatter(*processors: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
    )
