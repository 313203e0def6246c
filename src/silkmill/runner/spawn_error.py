"""Why a spider could not be started, named so exactly that the reader knows what to mend."""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from silkmill.protocol.attemptdir import SpawnFailure


_INTERPRETER_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.ELOOP)


class SpawnError(Exception):
    """`failure` is what outcome.json says about it."""

    def __init__(self, failure: SpawnFailure) -> None:
        super().__init__(failure["message"])
        self.failure = failure


def missing(name: str, searched: str | None) -> SpawnError:
    message = (
        f"no such file: {name!r}" if searched is None else f"command not found: {name!r} in PATH {searched}"
    )
    return SpawnError({"errno": errno.ENOENT, "kind": "missing", "message": message})


def bad_directory(directory: str, error: OSError | ValueError) -> SpawnError:
    number = error.errno or 0 if isinstance(error, OSError) else errno.EINVAL
    message = f"working directory {directory!r}: {os.strerror(number)}"
    return SpawnError({"errno": number, "kind": "bad_directory", "message": message})


def no_containment(error: OSError) -> SpawnError:
    message = f"the process group that is to hold the spider cannot be entered: {error}"
    return SpawnError({"errno": error.errno or 0, "kind": "other", "message": message})


def bad_arguments(error: ValueError) -> SpawnError:
    """An argument or variable the system cannot carry: a NUL byte, a `=` in a name."""
    message = f"arguments or environment cannot be passed on: {error}"
    return SpawnError({"errno": errno.EINVAL, "kind": "other", "message": message})


def not_executable(program: str, why: str = "") -> SpawnError:
    mode = f"mode {stat.S_IMODE(os.stat(program).st_mode):04o}"
    message = f"{program!r} is not executable ({why or mode})"
    return SpawnError({"errno": errno.EACCES, "kind": "not_executable", "message": message})


def exec_failed(program: str, argument_bytes: int, error: OSError) -> SpawnError:
    """Explain what exec refused. ENOENT of a file that exists is about its interpreter, never named."""
    number = error.errno or 0
    if number == errno.E2BIG:
        message = f"arguments and environment are too long ({argument_bytes} bytes) to start {program!r}"
        return SpawnError({"errno": number, "kind": "arguments_too_long", "message": message})
    if not os.path.exists(program):
        return missing(program, None)
    interpreter = _interpreter(program)
    if interpreter is not None and number in _INTERPRETER_ERRORS:
        message = f"{program!r}: its interpreter {interpreter!r} cannot be run: {os.strerror(number)}"
        return SpawnError({"errno": number, "kind": "bad_interpreter", "message": message})
    if number == errno.ENOENT:
        message = f"{program!r}: its program loader is missing (a binary for another system?)"
        return SpawnError({"errno": number, "kind": "bad_interpreter", "message": message})
    if number == errno.ENOEXEC:
        return not_executable(program, "neither a binary for this machine nor a script with a #! line")
    if number == errno.EACCES:
        return not_executable(program, "a directory" if os.path.isdir(program) else "permission denied")
    message = f"{program!r} could not be started: {os.strerror(number)}"
    return SpawnError({"errno": number, "kind": "other", "message": message})


def _interpreter(program: str) -> str | None:
    """What the `#!` line of a script names; None when it is no script."""
    try:
        with open(program, "rb", buffering=0) as file:
            line = file.read(256).split(b"\n", 1)[0]
    except OSError:
        return None
    if not line.startswith(b"#!"):
        return None
    # Blanks and tabs end the name, as for the kernel; a carriage return belongs to it and is to be seen.
    return os.fsdecode(line[2:].replace(b"\t", b" ").strip(b" ").split(b" ", 1)[0])
