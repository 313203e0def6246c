"""A TOML table whose keys and values are checked as they are read, with errors that name file and key."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

from silkmill.domain.errors import BadInput
from silkmill.domain.units import duration_seconds, size_bytes

Value = TypeVar("Value")

LONGEST_SECONDS = 3650 * 86400.0
LARGEST = (1 << 63) - 1
"""Beyond these, times cannot be added up and numbers cannot be stored."""


class TomlTable:
    """One table of the file: every key of it is known, every value has its type."""

    def __init__(self, values: Mapping[str, Any], file: str, path: str, known: list[str] | None) -> None:
        self.values, self._file, self._path = values, file, path
        for key in values:
            if known is not None and key not in known:
                self._refuse_unknown(key, known)

    def text(self, key: str, default: str = "", *, required: bool = False) -> str:
        if required and key not in self.values:
            self.refuse(key, "is missing", f'add {key} = "…"')
        text: str = self._checked(key, default, str, "a string")
        return text

    def texts(self, key: str, default: tuple[str, ...]) -> tuple[str, ...]:
        values = self._checked(key, list(default), list, "a list of strings")
        if not all(isinstance(value, str) for value in values):
            self.refuse(key, "is not a list of strings", 'write it as ["a", "b"]')
        return tuple(values)

    def choice(self, key: str, choices: tuple[str, ...]) -> str:
        """The first choice is the default."""
        value = self.text(key, choices[0])
        if value not in choices:
            self.refuse(key, f"is {value!r}", f"use one of {', '.join(choices)}")
        return value

    def whole(self, key: str, default: int, *, lowest: int = 0, highest: int = LARGEST) -> int:
        value: int = self._checked(key, default, int, "a whole number")
        if not lowest <= value <= highest:
            self.refuse(key, f"is {value}", f"give {lowest} to {highest}")
        return value

    def number(self, key: str, default: float, *, highest: float) -> float:
        value = float(self._checked(key, default, (int, float), "a number"))
        if not 0 <= value <= highest:
            self.refuse(key, f"is {value}", f"give 0 to {highest}")
        return value

    def duration(self, key: str, default: str) -> float:
        seconds = self._quantity(key, default, duration_seconds, "a duration such as 90s, 15m or 2h")
        if seconds > LONGEST_SECONDS:
            self.refuse(key, f"is {self.text(key)!r}", "give at most 3650d")
        return seconds

    def size(self, key: str, default: str) -> int:
        size = self._quantity(key, default, size_bytes, "a size such as 512MiB or 1GiB")
        if size > LARGEST:
            self.refuse(key, f"is {self.text(key)!r}", "give less than 8388608TiB")
        return size

    def table(self, key: str, known: list[str] | None) -> TomlTable:
        values = self._checked(key, {}, dict, "a table")
        return TomlTable(values, self._file, self._name(key), known)

    def tables(self, key: str, known: list[str]) -> list[TomlTable]:
        """An array of tables; the third one of `x` is called `x[2]` in errors."""
        values = self._checked(key, [], list, f"tables, each below a line [[{key}]]")
        if not all(isinstance(value, dict) for value in values):
            self.refuse(key, f"is {values!r}", f"give tables, each below a line [[{key}]]")
        return [
            TomlTable(value, self._file, f"{self._name(key)}[{index}]", known)
            for index, value in enumerate(values)
        ]

    def without(self, key: str) -> TomlTable:
        values = {name: value for name, value in self.values.items() if name != key}
        return TomlTable(values, self._file, self._path, None)

    def refuse(self, key: str, what: str, remedy: str) -> NoReturn:
        raise BadInput(f"{self._file}: {self._name(key)} {what}", field=self._name(key), remedy=remedy)

    def _checked(self, key: str, default: Any, kind: type[Value] | tuple[type[Value], ...], name: str) -> Any:
        value = self.values.get(key, default)
        # bool is an int in Python, but not in TOML
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(key, f"is {value!r}", f"give {name}")
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        return bool(self._checked(key, default, bool, "true or false"))

    def _quantity(self, key: str, default: str, parse: Callable[[str], Value], name: str) -> Value:
        text = self.text(key, default)
        try:
            return parse(text)
        except ValueError:
            self.refuse(key, f"is {text!r}", f"give {name}")

    def _refuse_unknown(self, key: str, known: list[str]) -> NoReturn:
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        self.refuse(key, "is not a known key", f"did you mean {near[0]!r}?" if near else "leave it out")

    def _name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key


class MergedTable(TomlTable):
    """A table over another one that holds its defaults. Two tables are merged key by key, whatever else is
    given replaces. An error names the key where it is written."""

    def __init__(self, defaults: TomlTable, own: TomlTable) -> None:
        super().__init__({**defaults.values, **own.values}, own._file, own._path, None)
        self._defaults, self._own = defaults, own

    def table(self, key: str, known: list[str] | None) -> TomlTable:
        if all(isinstance(side.values.get(key), dict) for side in (self._defaults, self._own)):
            return MergedTable(self._defaults.table(key, known), self._own.table(key, known))
        return self._owner(key).table(key, known)

    def _name(self, key: str) -> str:
        return self._owner(key)._name(key)

    def _owner(self, key: str) -> TomlTable:
        inherited = key in self._defaults.values and key not in self._own.values
        return self._defaults if inherited else self._own
