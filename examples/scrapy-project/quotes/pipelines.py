"""What happens to an item before it is saved."""

from __future__ import annotations

from typing import Any

from scrapy.exceptions import DropItem


class Tidy:
    """Texts without quotation marks and blanks around them."""

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.strip(" \n“”") if isinstance(value, str) else value for name, value in item.items()
        }


class Once:
    """The second item with the same text is dropped."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def process_item(self, item: dict[str, Any]) -> dict[str, Any]:
        if item["text"] in self._seen:
            raise DropItem(f"seen before: {item['text']}")
        self._seen.add(item["text"])
        return item
