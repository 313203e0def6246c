"""The HTTP API over the master's parts: one module per noun."""

from silkmill.adapters.http.app import create_app
from silkmill.adapters.http.parts import Parts
from silkmill.adapters.http.server import serving

__all__ = ["Parts", "create_app", "serving"]
