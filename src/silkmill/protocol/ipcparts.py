"""What the IPC decoder makes of a spider's stdout: pieces of log text and messages, in the order they came."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Log bytes exactly as written; one piece may span many lines or end in the middle of one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Items:
    """Saved items. `lines` holds the JSON of each as it was sent, every one ended by a newline it does not hold."""

    lines: bytes
    count: int

    @property
    def items(self) -> list[bytes]:
        return self.lines.split(b"\n")[:-1]


@dataclass(frozen=True, slots=True)
class Status:
    """`payload` is a JSON object of at most 64 KiB; `progress` its number of that name if that lies in 0..1."""

    payload: bytes
    progress: float | None


@dataclass(frozen=True, slots=True)
class Error:
    """A failure that the spider reports itself; `fatal` makes the outcome an error even with exit code 0."""

    error_class: str
    message: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class Log:
    """A structured log record: a JSON object without a newline in it."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """The SDK is there: from now on a frame without the nonce is log text."""

    sdk: str


@dataclass(frozen=True, slots=True)
class Bad:
    """A frame that could not be taken; its bytes follow as Text."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forged:
    """The first frame that lacked the nonce where one was due; `excerpt` is at most 200 bytes of it.

    Said once; `Decoder.forged` goes on counting. The bytes of each are given as Text.
    """

    excerpt: bytes


Part = Text | Items | Status | Error | Log | Hello | Bad | Forged
