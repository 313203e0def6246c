"""What a spider imports to talk to Silkmill: items, status, errors, log records, the wish to cancel.

    from silkmill.sdk import save_item
    save_item({"url": "https://example.com", "price": 12})

To ask for one of these names says hello: from then on only frames with the nonce of this attempt count, and a
page that the spider prints cannot forge any. Run by hand, outside of Silkmill, the messages are printed as
plain lines. Every function may be called from any thread, and from any process that the spider starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .messages import (
        cancelled,
        error,
        log,
        on_cancel,
        save_item,
        save_items,
        status,
        wait_cancelled,
    )

__all__ = [
    "cancelled",
    "error",
    "log",
    "on_cancel",
    "save_item",
    "save_items",
    "status",
    "wait_cancelled",
]


def __getattr__(name: str) -> Any:
    """Not at the import: the Scrapy part lies in this package, and says hello only when it knows that nothing
    in the spider's process writes frames without the nonce."""
    if name not in __all__:
        raise AttributeError("module 'silkmill.sdk' has no attribute %r" % name)
    from . import messages

    messages.say_hello()
    globals().update({public: getattr(messages, public) for public in __all__})
    return globals()[name]
