"""Start the spider's main process: found by its own PATH, in its own session, with clean signals."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager

from silkmill.runner import spawn_error

TYPE_CHECKING = False  # the typing module would cost every runner half a megabyte
if TYPE_CHECKING:
    from collections.abc import Iterator

    from silkmill.protocol.attemptdir import Spec
    from silkmill.runner.containment import ProcessTree

_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_RESET_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
_OOM_SCORE_FILE = "/proc/self/oom_score_adj"
_OOM_SCORE_MAX = 1000
_OOM_SCORE_RAISE = 500  # out of memory, the kernel shall choose the spider before its runner


def spawn(spec: Spec, tree: ProcessTree, descriptors: tuple[int, int, int]) -> int:
    """Start `spec` inside `tree` with these descriptors as 0, 1 and 2; returns its pid. Raises SpawnError.

    posix_spawn (vfork) takes a tenth of the time of a fork. It cannot change directory or OOM score, so the
    runner, which has one thread, puts them on for a moment and the child inherits them.
    """
    try:
        arguments = [_bytes(argument) for argument in spec["argv"]]
        environment = {_bytes(name): _bytes(value) for name, value in spec["env"].items()}
    except UnicodeEncodeError as error:
        raise spawn_error.bad_arguments(error) from error
    _enter(tree)
    with _raised_oom_score(), _inside(spec["cwd"]):
        program = _find_program(spec)
        try:
            return os.posix_spawn(
                program,
                arguments,
                environment,
                file_actions=[(os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(descriptors)],
                setsid=True,
                setsigmask=(),
                setsigdef=_RESET_SIGNALS,
            )
        except ValueError as error:
            raise spawn_error.bad_arguments(error) from error
        except OSError as error:
            raise spawn_error.exec_failed(program, _size(arguments, environment), error) from error


def _enter(tree: ProcessTree) -> None:
    try:
        tree.enter()
    except OSError as error:
        raise spawn_error.no_containment(error) from error


def _find_program(spec: Spec) -> str:
    """As execvp does, but with the PATH of the spider; a name with a slash counts from its directory."""
    name = spec["argv"][0] if spec["argv"] else ""
    if "/" in name:
        return _check_program(os.path.join(spec["cwd"], name))
    searched = spec["env"].get("PATH", _DEFAULT_PATH)
    candidates = [os.path.join(spec["cwd"], directory, name) for directory in searched.split(":")]
    files = [candidate for candidate in candidates if name and os.path.isfile(candidate)]
    for file in files:
        if os.access(file, os.X_OK):
            return file
    if files:
        raise spawn_error.not_executable(files[0])
    raise spawn_error.missing(name, searched)


def _check_program(path: str) -> str:
    if os.path.isfile(path) and not os.access(path, os.X_OK):
        raise spawn_error.not_executable(path)
    return path


@contextmanager
def _inside(directory: str) -> Iterator[None]:
    try:
        os.chdir(directory)
    except (OSError, ValueError) as error:  # ValueError: a NUL byte in the name
        raise spawn_error.bad_directory(directory, error) from error
    try:
        yield
    finally:
        os.chdir("/")


@contextmanager
def _raised_oom_score() -> Iterator[None]:
    """A process may raise its score and return to where it was without any privilege."""
    raised_by = _change_oom_score(_OOM_SCORE_RAISE)
    try:
        yield
    finally:
        _change_oom_score(-raised_by)


def _change_oom_score(by: int) -> int:
    """Returns by how much it changed: 0 where /proc is not writable, and both are equally likely to die."""
    try:
        descriptor = os.open(_OOM_SCORE_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        before = int(os.pread(descriptor, 16, 0))
        after = min(_OOM_SCORE_MAX, before + by)
        os.pwrite(descriptor, b"%d" % after, 0)
        return after - before
    except OSError:
        return 0
    finally:
        os.close(descriptor)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _size(arguments: list[bytes], environment: dict[bytes, bytes]) -> int:
    return sum(map(len, arguments)) + sum(len(name) + len(value) + 1 for name, value in environment.items())
