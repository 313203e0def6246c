"""What the IPC decoder makes of a spider's stdout: log text and messages, in the order they came.

Plain classes: `dataclasses` would cost every runner two megabytes.
"""


class Part:
    """A value: equal by its fields, which are never changed."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other._fields() == self._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._fields()}"

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


class Text(Part):
    """Log bytes exactly as written; one piece may span many lines or end in the middle of one."""

    __slots__ = __match_args__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Items(Part):
    """Saved items. `lines` holds the JSON of each as it was sent (no newline in it), ended by a newline."""

    __slots__ = __match_args__ = ("lines", "count")

    def __init__(self, lines: bytes, count: int) -> None:
        self.lines, self.count = lines, count

    @property
    def items(self) -> list[bytes]:
        return self.lines.split(b"\n")[:-1]


class Status(Part):
    """`payload` is a JSON object of at most 64 KiB; `progress` its number of that name if in 0..1."""

    __slots__ = __match_args__ = ("payload", "progress")

    def __init__(self, payload: bytes, progress: float | None) -> None:
        self.payload, self.progress = payload, progress


class Error(Part):
    """A failure that the spider reports itself; `fatal` makes the outcome an error even with exit code 0."""

    __slots__ = __match_args__ = ("error_class", "message", "fatal")

    def __init__(self, error_class: str, message: str, fatal: bool) -> None:
        self.error_class, self.message, self.fatal = error_class, message, fatal


class Log(Part):
    """A structured log record: a JSON object without a newline in it."""

    __slots__ = __match_args__ = ("payload",)

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


class Hello(Part):
    """The SDK is there: from now on a frame without the nonce is log text."""

    __slots__ = __match_args__ = ("sdk",)

    def __init__(self, sdk: str) -> None:
        self.sdk = sdk


class Bad(Part):
    """A frame that could not be taken; its bytes follow as Text."""

    __slots__ = __match_args__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


class Forged(Part):
    """The first frame that lacked the nonce where one was due; `excerpt` is at most 200 bytes of it.

    Said once; `Decoder.forged` goes on counting. The bytes of each are given as Text.
    """

    __slots__ = __match_args__ = ("excerpt",)

    def __init__(self, excerpt: bytes) -> None:
        self.excerpt = excerpt
