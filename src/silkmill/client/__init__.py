"""The HTTP client of Silkmill, sync and async; the CLI and users' code stand on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silkmill.client.client import Client
from silkmill.client.errors import ClientError, ConnectionLost, NoServer, Problem
from silkmill.client.server import Server, data_directory, find_server

if TYPE_CHECKING:
    from silkmill.client.async_client import AsyncClient

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "ConnectionLost",
    "NoServer",
    "Problem",
    "Server",
    "data_directory",
    "find_server",
]


def __getattr__(name: str) -> Any:
    if name == "AsyncClient":  # stands on httpx, whose import costs as much as the rest of a command
        from silkmill.client.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(name)
