"""The life of a task: its states, its events, and the only table that says which transition is legal."""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    CREATED = "created"
    PENDING = "pending"
    RUNNING = "running"
    FINISHED = "finished"
    ERROR = "error"
    CANCELLED = "cancelled"
    ABNORMAL = "abnormal"

    @property
    def final(self) -> bool:
        return self in FINAL_STATES


class Phase(StrEnum):
    """Where the open attempt stands."""

    OFFERED = "offered"
    PREPARING = "preparing"
    EXECUTING = "executing"
    COMPLETING = "completing"


class Move(StrEnum):
    """The name of an event: what happened, already decided."""

    RELEASE = "RELEASE"
    HOLD = "HOLD"
    ASSIGN = "ASSIGN"
    ACCEPT = "ACCEPT"
    START = "START"
    EXIT = "EXIT"
    FINISH = "FINISH"
    RETRY = "RETRY"
    FAIL = "FAIL"
    CANCEL = "CANCEL"
    LOSE = "LOSE"
    ADOPT = "ADOPT"
    GIVE_BACK = "GIVE_BACK"


FINAL_STATES = frozenset({State.FINISHED, State.ERROR, State.CANCELLED})

# The row of a task: its state, and the phase of its open attempt (None: no attempt is open).
Row = tuple[State, Phase | None]

_UNASSIGNED: Row = (State.PENDING, None)
_CREATED: Row = (State.CREATED, None)
_OFFERED: Row = (State.PENDING, Phase.OFFERED)
_PREPARING: Row = (State.PENDING, Phase.PREPARING)
_EXECUTING: Row = (State.RUNNING, Phase.EXECUTING)
_COMPLETING: Row = (State.RUNNING, Phase.COMPLETING)
# A lost attempt stays open and keeps the phase it was last seen in.
_LOST_PREPARING: Row = (State.ABNORMAL, Phase.PREPARING)
_LOST_EXECUTING: Row = (State.ABNORMAL, Phase.EXECUTING)
_LOST_COMPLETING: Row = (State.ABNORMAL, Phase.COMPLETING)

FINISHED: Row = (State.FINISHED, None)
ERROR: Row = (State.ERROR, None)
CANCELLED: Row = (State.CANCELLED, None)

Ends = tuple[Row, ...]
_END: dict[Move, Ends] = {Move.FAIL: (ERROR,), Move.CANCEL: (CANCELLED,)}
# What may happen to an accepted attempt in any phase. ADOPT alone has several ends: the report chooses.
_UNDO: dict[Move, Ends] = {
    **_END,
    Move.RETRY: (_CREATED,),
    Move.GIVE_BACK: (_UNASSIGNED,),
    Move.ADOPT: (_PREPARING, _EXECUTING, _COMPLETING),
}

# (state, open phase) -> event -> where it leads. A pair that is not here is illegal.
TRANSITIONS: dict[Row, dict[Move, Ends]] = {
    _CREATED: {Move.RELEASE: (_UNASSIGNED,), **_END},
    _UNASSIGNED: {Move.HOLD: (_CREATED,), Move.ASSIGN: (_OFFERED,), **_END},
    _OFFERED: {Move.ACCEPT: (_PREPARING,), Move.GIVE_BACK: (_UNASSIGNED,), **_END},
    _PREPARING: {Move.START: (_EXECUTING,), Move.LOSE: (_LOST_PREPARING,), **_UNDO},
    _EXECUTING: {Move.EXIT: (_COMPLETING,), Move.LOSE: (_LOST_EXECUTING,), **_UNDO},
    _COMPLETING: {Move.FINISH: (FINISHED,), Move.LOSE: (_LOST_COMPLETING,), **_UNDO},
    _LOST_PREPARING: _UNDO,
    _LOST_EXECUTING: _UNDO,
    _LOST_COMPLETING: _UNDO,
    FINISHED: {},
    ERROR: {},
    CANCELLED: {},
}
