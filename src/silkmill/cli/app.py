"""The program: finds a command's module, runs it, turns every error into talk and an exit code."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from silkmill import __version__
from silkmill.cli.exits import Exit
from silkmill.cli.talk import discard_stdout, say_error
from silkmill.cli.text import is_utf8
from silkmill.client.errors import ClientError
from silkmill.domain.errors import BadInput, NotFound, SilkmillError

COMMANDS = {
    "up": "run the engine on this machine: master, worker and API",
    "stop": "stop the engine that `up` started",
    "run": "run a folder or a spider as a task, with its log",
    "submit": "many tasks of a spider at once",
    "deploy": "make a version of a folder or an archive",
    "versions": "the versions of a spider, or what differs between two",
    "rollback": "let new tasks of a spider get another version",
    "ps": "list tasks",
    "show": "everything about a task",
    "why": "what a task waits for, or why it ended so",
    "wait": "wait for the end of tasks",
    "cancel": "stop tasks, verified",
    "retry": "run tasks again, as new ones",
    "logs": "the log of a task",
    "projects": "limits of projects",
    "items": "what a spider saved",
    "schedules": "what the clock starts",
}
"""Command to its line in `--help`; each lives in a module of its name, imported when it is called."""

BAD_PATH = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EROFS, errno.ENOENT, errno.ENAMETOOLONG)
"""Errors of the place that the caller named, not of the machine."""


class Commands(click.Group):
    """Imports only the called command: every module costs each command its start-up time."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"silkmill.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end with 1, which says that a task failed
            discard_stdout()
            return Exit.DONE

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    commands={name: click.Command(name) for name in COMMANDS},  # the names a mistyped one is compared with
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@click.version_option(__version__, prog_name="silkmill")
def program() -> None:
    """Runs spiders as tasks, and loses nothing while doing it."""


def main() -> None:
    open_standard_streams()
    sys.exit(run(sys.argv[1:]))


def open_standard_streams() -> None:
    """A caller may have closed them: then a database or a socket would get their numbers. And data is UTF-8,
    whatever the terminal's language."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """The exit code of a command line."""
    try:
        code = program.main(args=arguments, prog_name="silkmill", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except BaseException as raised:
        error = _single(raised)
        code = exit_of_error(error)
        if code is None:
            raise
        _tell(error, arguments)
        return code


def exit_of_error(error: BaseException) -> int | None:
    """None for what nobody foresaw: a defect, which shows its traceback."""
    match error:
        case click.Abort() | KeyboardInterrupt():
            return Exit.INTERRUPTED
        case ClientError():
            return error.exit_code
        case BrokenPipeError():  # the reader of our output has enough, as `head` has
            return Exit.DONE
        case NotFound():
            return Exit.NOT_FOUND
        case click.ClickException() | BadInput():
            return Exit.BAD_INPUT
        case UnicodeEncodeError():  # an argument that is no text; only paths may be any bytes
            return Exit.BAD_INPUT
        case OSError():
            return Exit.BAD_INPUT if error.errno in BAD_PATH else Exit.REFUSED
        case SilkmillError():  # of an engine inside this process
            return Exit.REFUSED
    return None


def _tell(error: BaseException, arguments: list[str]) -> None:
    match error:
        case click.ClickException():
            error.show()
        case BrokenPipeError():
            discard_stdout()
        case UnicodeEncodeError():
            say_error(f"{_not_utf8(error, arguments)!r} is not UTF-8; only paths may hold other bytes")
        case OSError() if error.errno in BAD_PATH and error.filename:
            say_error(f"{error.filename}: {error.strerror}; choose another place, or make this one usable")
        case ClientError() | SilkmillError() | OSError():
            say_error(str(error))


def _not_utf8(error: UnicodeEncodeError, arguments: list[str]) -> str:
    """The argument that is to blame; of another text, which was read, the place."""
    around = error.object[max(0, error.start - 20) : error.end + 20]
    return next((argument for argument in arguments if not is_utf8(argument)), around)


def _single(error: BaseException) -> BaseException:
    """The first error of a task group, which wraps what its owner raises too."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
