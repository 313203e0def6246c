"""The transition table, row by row, written out by hand from the protocol's list of events."""

from __future__ import annotations

from silkmill.domain.states import TRANSITIONS, Move, Phase, Row, State

# One line per row of the table and event: where it may lead. Written from the protocol, not from the code:
#
#   RELEASE created→pending · HOLD pending→created (unassigned) · ASSIGN, ACCEPT inside pending ·
#   START preparing→running · EXIT executing→completing · LOSE preparing|running→abnormal ·
#   ADOPT preparing|running|abnormal → the state of the reported phase · FINISH completing→finished ·
#   RETRY preparing|running|abnormal→created · FAIL the same and created|pending→error ·
#   GIVE_BACK offered|preparing|running|abnormal→pending · CANCEL any non-final→cancelled
EXPECTED = """
created                 RELEASE    pending
created                 FAIL       error
created                 CANCEL     cancelled

pending                 HOLD       created
pending                 ASSIGN     pending/offered
pending                 FAIL       error
pending                 CANCEL     cancelled

pending/offered         ACCEPT     pending/preparing
pending/offered         GIVE_BACK  pending
pending/offered         FAIL       error
pending/offered         CANCEL     cancelled

pending/preparing       START      running/executing
pending/preparing       LOSE       abnormal/preparing
pending/preparing       ADOPT      pending/preparing
pending/preparing       ADOPT      running/executing
pending/preparing       ADOPT      running/completing
pending/preparing       RETRY      created
pending/preparing       GIVE_BACK  pending
pending/preparing       FAIL       error
pending/preparing       CANCEL     cancelled

running/executing       EXIT       running/completing
running/executing       LOSE       abnormal/executing
running/executing       ADOPT      pending/preparing
running/executing       ADOPT      running/executing
running/executing       ADOPT      running/completing
running/executing       RETRY      created
running/executing       GIVE_BACK  pending
running/executing       FAIL       error
running/executing       CANCEL     cancelled

running/completing      FINISH     finished
running/completing      LOSE       abnormal/completing
running/completing      ADOPT      pending/preparing
running/completing      ADOPT      running/executing
running/completing      ADOPT      running/completing
running/completing      RETRY      created
running/completing      GIVE_BACK  pending
running/completing      FAIL       error
running/completing      CANCEL     cancelled

abnormal/preparing      ADOPT      pending/preparing
abnormal/preparing      ADOPT      running/executing
abnormal/preparing      ADOPT      running/completing
abnormal/preparing      RETRY      created
abnormal/preparing      GIVE_BACK  pending
abnormal/preparing      FAIL       error
abnormal/preparing      CANCEL     cancelled

abnormal/executing      ADOPT      pending/preparing
abnormal/executing      ADOPT      running/executing
abnormal/executing      ADOPT      running/completing
abnormal/executing      RETRY      created
abnormal/executing      GIVE_BACK  pending
abnormal/executing      FAIL       error
abnormal/executing      CANCEL     cancelled

abnormal/completing     ADOPT      pending/preparing
abnormal/completing     ADOPT      running/executing
abnormal/completing     ADOPT      running/completing
abnormal/completing     RETRY      created
abnormal/completing     GIVE_BACK  pending
abnormal/completing     FAIL       error
abnormal/completing     CANCEL     cancelled
"""

ROWS = [
    "created",
    "pending",
    "pending/offered",
    "pending/preparing",
    "running/executing",
    "running/completing",
    "abnormal/preparing",
    "abnormal/executing",
    "abnormal/completing",
    "finished",
    "error",
    "cancelled",
]
EVENTS = [
    "RELEASE",
    "HOLD",
    "ASSIGN",
    "ACCEPT",
    "START",
    "EXIT",
    "FINISH",
    "RETRY",
    "FAIL",
    "CANCEL",
    "LOSE",
    "ADOPT",
    "GIVE_BACK",
]


def row(name: str) -> Row:
    state, _, phase = name.partition("/")
    return State(state), Phase(phase) if phase else None


def expected() -> set[tuple[str, str, str]]:
    lines = [line.split() for line in EXPECTED.strip().splitlines() if line]
    return {(start, event, end) for start, event, end in lines}


def test_the_table_is_the_one_written_by_hand() -> None:
    table = {
        (start, move, end)
        for start, moves in TRANSITIONS.items()
        for move, ends in moves.items()
        for end in ends
    }
    assert table == {(row(start), Move(event), row(end)) for start, event, end in expected()}


def test_every_pair_of_row_and_event_is_decided() -> None:
    assert set(TRANSITIONS) == {row(name) for name in ROWS}
    assert {str(move) for move in Move} == set(EVENTS)
    legal = {(row(start), Move(event)) for start, event, _ in expected()}
    illegal = [(row(name), Move(event)) for name in ROWS for event in EVENTS]
    illegal = [pair for pair in illegal if pair not in legal]
    assert len(legal) == 47
    assert len(illegal) == 12 * 13 - 47
    assert not [pair for pair in illegal if TRANSITIONS[pair[0]].get(pair[1])]


def test_a_final_state_allows_nothing() -> None:
    for state in (State.FINISHED, State.ERROR, State.CANCELLED):
        assert state.final
        assert TRANSITIONS[state, None] == {}
