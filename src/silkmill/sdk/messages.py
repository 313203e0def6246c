"""What a spider says: items, status, errors, log records; and the wish to cancel that it hears.

Every function may be called from any thread, and from any process that the spider starts. HELLO is said by
`say_hello`, not by the import of this module.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any, Callable, Iterable, List, Optional, Union

from .cancellation import Cancellation
from .channel import MAX_FRAME, Channel
from .values import encode, encode_object

_BATCH_BYTES = 64 * 1024
_LONGEST_MESSAGE = 10_000  # characters

_nonce = os.environ.get("SILKMILL_IPC_NONCE", "")
_channel = Channel(_nonce)
_cancellation = Cancellation(listens=bool(_nonce))
_hello_said = False
_items_saved = 0


def save_item(*items: Any) -> None:
    """Saves each item, in order.

    Raises `TypeError` for an item that is no object or holds what JSON cannot hold, `ValueError` for one of
    more than 8 MiB. Then nothing after it is saved; what came before is.
    """
    save_items(items)


def save_items(items: Iterable[Any]) -> None:
    """Saves many items, in order, as they come; raises like `save_item`."""
    batch: List[bytes] = []
    size = 0
    try:
        for item in items:
            encoded = _encode_item(item)
            if batch and size + len(encoded) > _BATCH_BYTES:
                full, batch, size = batch, [], 0
                _send_items(full)
            batch.append(encoded)
            size += len(encoded) + 1
    finally:
        if batch:
            _send_items(batch)


def items_saved() -> int:
    """How many items this process has saved."""
    return _items_saved


def status(progress: Optional[float] = None, message: Optional[str] = None, **statistics: Any) -> None:
    """Tells how far the spider is: `progress` from 0 to 1, a short message, numbers that become statistics.

    Raises `ValueError` if all of it is more than 64 KiB.
    """
    fields = dict(statistics)
    if progress is not None:
        fields["progress"] = progress
    if message is not None:
        fields["message"] = message
    payload = encode(fields)
    if len(payload) > 64 * 1024:
        raise ValueError("a status is at most 64 KiB")
    _channel.send("STATUS", payload)


def error(problem: Union[BaseException, str], error_class: str = "", fatal: bool = False) -> None:
    """Reports a failure, counted on the task; `fatal` makes it end in error even if the spider exits with 0.

    `problem` is an exception or a message; of a message the first 10,000 characters are kept.
    """
    if isinstance(problem, BaseException) and not error_class:
        error_class = type(problem).__name__
    message = str(problem)[:_LONGEST_MESSAGE]
    _channel.send("ERROR", encode({"class": error_class[:200], "message": message, "fatal": bool(fatal)}))


def log(message: str, level: str = "info", **fields: Any) -> None:
    """Writes a structured log record."""
    _channel.send("LOG", encode({"level": level, "message": message, "fields": fields}))


def cancelled() -> bool:
    """Whether somebody asked to cancel this task. After that the spider has some seconds to end by itself."""
    return _cancellation.came()


def on_cancel(callback: Callable[[], object]) -> None:
    """Calls `callback` once when a cancel comes, in a thread of its own; at once if it has come already."""
    _cancellation.call(callback)


def wait_cancelled(timeout: Optional[float] = None) -> bool:
    """Waits for a cancel, at most `timeout` seconds; whether it came."""
    return _cancellation.wait(timeout)


def _encode_item(item: Any) -> bytes:
    encoded = encode_object(item)
    if len(encoded) > MAX_FRAME - 100:
        raise ValueError("an item of %d bytes is too large: at most 8 MiB fit a frame" % len(encoded))
    return encoded


def _send_items(batch: List[bytes]) -> None:
    global _items_saved
    _channel.send("INSERT_DATA", batch[0] if len(batch) == 1 else b"[" + b",".join(batch) + b"]")
    _items_saved += len(batch)


def say_hello() -> None:
    """Says that frames without the nonce no longer count, and that this spider hears a cancel. Once."""
    global _hello_said
    if _nonce and not _hello_said:
        _hello_said = True
        with suppress(OSError):
            _channel.send("HELLO", b'{"sdk":"python/1"}')
