"""Writes docs/states.md from the transition table: `python -m tests.tools.states`."""

from __future__ import annotations

from pathlib import Path

from silkmill.domain.states import TRANSITIONS, Move, Phase, Row, State

PAGE = Path(__file__).parents[2] / "docs" / "states.md"

MEANINGS = {
    State.CREATED: "recorded and durable, not yet eligible: delayed, or backing off after a failed attempt",
    State.PENDING: "eligible: waiting for a slot, or given to a node that prepares it (see `node`, `phase`)",
    State.RUNNING: "the spider's process has started",
    State.FINISHED: "it ended well by its outcome rules, and every byte and item it gave is stored",
    State.ERROR: "failed for good; `error_class`, `reason`, exit code or signal say why",
    State.CANCELLED: "stopped on request and verified dead, or never started",
    State.ABNORMAL: "the engine lost sight of it; recovery decides: running again, pending again, or an end",
}
EVENTS = {
    Move.RELEASE: "its delay or back-off is over",
    Move.HOLD: "it is held back before it was given to a node",
    Move.ASSIGN: "a new attempt is offered to a node",
    Move.ACCEPT: "the node takes the offer and prepares files and environment",
    Move.START: "the spider's process runs",
    Move.EXIT: "its process tree is gone; the rest of its log and items is on the way",
    Move.FINISH: "it ended well and everything is stored",
    Move.RETRY: "it failed, and another attempt is due after a back-off",
    Move.FAIL: "it failed for good",
    Move.CANCEL: "stopped on request and verified dead, or never started",
    Move.LOSE: "the engine lost sight of the attempt, which stays open",
    Move.ADOPT: "its node came back with the attempt, which goes on where the node says",
    Move.GIVE_BACK: "the attempt ends without an outcome: an offer nobody took, a drain, a lost worker",
}


def page() -> str:
    """The whole page, as Markdown."""
    return "\n".join(
        [
            "# States",
            "",
            "<!-- Generated from `silkmill.domain.states.TRANSITIONS` by `python -m tests.tools.states`. -->",
            "",
            "A task is in one of seven states. `finished`, `error` and `cancelled` are final: a final state",
            "never changes, and running a task again makes a new one.",
            "",
            *_diagram(),
            "",
            *_table(("state", "meaning"), [(f"`{state}`", MEANINGS[state]) for state in State]),
            "",
            "## Events",
            "",
            "Whether a failure is RETRY or FAIL, a lost attempt GIVE_BACK or CANCEL, is decided before that.",
            "",
            *_table(("event", "what happened"), [(f"`{move}`", EVENTS[move]) for move in Move]),
            "",
            "## All transitions",
            "",
            "Behind the slash is the phase of the open attempt. What is not listed is illegal.",
            "",
            *_table(("from", "event", "to"), _transitions()),
            "",
        ]
    )


def _diagram() -> list[str]:
    """Between states only: the phases of an attempt are in the table below it."""
    moves: dict[tuple[State, State], list[str]] = {}
    for (state, _), events in TRANSITIONS.items():
        for move, ends in events.items():
            for end, _ in ends:
                names = moves.setdefault((state, end), [])
                if end is not state and move not in names:
                    names.append(move)
    arrows = [f"    {start} --> {end}: {', '.join(names)}" for (start, end), names in moves.items() if names]
    final = [f"    {state} --> [*]" for state in State if state.final]
    return [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> pending",
        "    [*] --> created",
        *arrows,
        *final,
        "```",
    ]


def _transitions() -> list[tuple[str, ...]]:
    return [
        (f"`{_name(start)}`", f"`{move}`", ", ".join(f"`{_name(end)}`" for end in ends))
        for start, events in TRANSITIONS.items()
        for move, ends in events.items()
    ]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows)]


def _name(row: Row) -> str:
    state: State = row[0]
    phase: Phase | None = row[1]
    return str(state) if phase is None else f"{state}/{phase}"


if __name__ == "__main__":
    PAGE.write_text(page())
