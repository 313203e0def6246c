"""Saves items with the task."""

from silkmill.sdk import save_item


class Save:
    def process_item(self, item):
        save_item(dict(item))
        return item
