"""A living runner and the attempt it runs for us."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from silkmill.worker.execution import End, Execution
from silkmill.worker.runner_link import HELLO, Event, Hello, RunnerLink
from silkmill.worker.runner_process import RunnerProcess, spider_of

_log = structlog.get_logger(__name__)
_DEAF_SECONDS = 30.0
"""A runner that is told to stop its spider and says nothing for so long is frozen or broken."""


class Runner:
    """Notices at once when its process dies; `on_gone` is called then, before the attempt hears of it."""

    def __init__(self, process: RunnerProcess, on_gone: Callable[[Runner], None]) -> None:
        self.process = process
        self._on_gone = on_gone
        self._link: RunnerLink | None = None
        self._hello: Hello | None = None
        self._connecting = asyncio.Lock()  # a second connection would hang up the first
        self._execution: Execution | None = None
        self._cancel: bool | None = None
        self._asked: deque[Execution | None] = deque()
        self._hellos = 0
        self.gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(process.pidfd, self._died)

    @property
    def connected(self) -> bool:
        return self._link is not None

    async def connect(self) -> Hello:
        """Open (again) the socket and compare notes with the runner. Raises RunnerUnreachable."""
        async with self._connecting:
            if self._link is None or self._hello is None:
                link = RunnerLink(self._hear, self._lost_link)
                self._hello = await link.open(self.process.socket, lambda: self.process.alive)
                self._link = link
                self._asked.clear()
                self._hellos += 1
                self._compare(self._hello)
                self._pass_on_cancel()
            return self._hello

    def run(self, execution: Execution) -> None:
        self._hold(execution)
        self._send({"op": "run", "dir": execution.directory})

    def attach(self, execution: Execution) -> None:
        """Hear the events of an attempt that this runner was given by an agent before us."""
        self._hold(execution)
        self._ask()  # it may have let go of it since it was asked

    def cancel(self, *, force: bool) -> None:
        """Stop the spider; said again to a runner that could not be reached.

        One that does not even answer is killed, and its spider with it: nothing may outlive a cancel."""
        self._cancel = force
        self._pass_on_cancel()
        self._ask()
        asyncio.get_running_loop().call_later(
            _DEAF_SECONDS, self._kill_if_deaf, self._execution, self._hellos
        )

    def retire(self) -> None:
        self._send({"op": "retire"})

    def leave(self) -> None:
        """Let go of the runner without a word: it lives on."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self.process.pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self.process.pidfd)
            self.process.close()

    def _hold(self, execution: Execution) -> None:
        execution.handed_over = True
        self._execution = execution
        self._cancel = None

    def _ask(self) -> None:
        if self._link is not None:
            self._asked.append(self._execution)
            self._send(HELLO)

    def _pass_on_cancel(self) -> None:
        if self._cancel is not None:
            self._send({"op": "cancel", "force": self._cancel})

    def _kill_if_deaf(self, execution: Execution | None, hellos: int) -> None:
        if execution is not None and self._execution is execution and self._hellos == hellos:
            _log.warning("a runner does not answer to a cancel, killing it", pid=self.process.pid)
            self.process.kill()

    def _send(self, operation: dict[str, object]) -> None:
        if self._link is not None:
            self._link.send(operation)

    def _hear(self, event: Event) -> None:
        execution = self._execution
        if event.event == "hello":
            self._hellos += 1
            # The answer to a question about an attempt before this one says nothing about this one.
            if self._asked and self._asked.popleft() is execution:
                self._compare(Hello(event.attempt, event.phase))
        if execution is None or event.attempt != execution.directory:
            return
        match event.event:
            case "wrote":
                execution.on_growth(event.log, event.items, event.count)
            case "started":
                execution.has_started(event.pid, datetime.fromisoformat(event.at))
            case "exited":
                execution.main_process_ended = True
            case "done":
                self._let_go(End.DONE)
            case "refused":
                execution.refusal = event.why
                self._let_go(End.REFUSED)

    def _compare(self, hello: Hello) -> None:
        """After a lost connection events may be missing; what matters is told by `hello` and by the files."""
        execution = self._execution
        if execution is None:
            return
        if hello.attempt != execution.directory:
            self._let_go(End.GONE)
            return
        execution.main_process_ended = hello.phase == "completing"
        pid = spider_of(self.process.pid)
        if pid is not None and not execution.started:
            execution.has_started(pid, datetime.now(UTC))

    def _let_go(self, end: End) -> None:
        execution, self._execution = self._execution, None
        if execution is not None:
            execution.has_ended(end)

    def _lost_link(self) -> None:
        self._link = None

    def _died(self) -> None:
        self.process.reap()
        self.leave()
        self._on_gone(self)
        self.gone.set()
        self._let_go(End.GONE)
