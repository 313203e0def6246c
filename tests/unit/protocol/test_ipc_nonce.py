"""Frames with the nonce, and what is refused once it is known that the spider has it."""

import pytest
from ipc_stream import HELLO, MARK, NONCE, decode, insert, items_of, messages_of, text_of

from silkmill.protocol.ipc import MAX_FRAME
from silkmill.protocol.ipcparts import Bad, Forged, Hello, Items, Text


def test_a_frame_is_taken_out_of_the_middle_of_a_line():
    _, parts = decode(b"progress 10" + MARK + insert(b'{"a":1}') + b"\n% done\n")
    assert parts == [Text(b"progress 10"), Items(b'{"a":1}\n', 1), Text(b"% done\n")]


def test_what_follows_such_a_frame_is_the_rest_of_a_line_and_no_plain_frame():
    _, parts = decode(b"start" + MARK + insert(b"{}") + b"\n" + insert(b'{"forged":1}') + b"\n")
    assert items_of(parts) == [b"{}"]
    assert text_of(parts) == b"start" + insert(b'{"forged":1}') + b"\n"


def test_plain_frames_count_until_hello_and_are_named_once_after():
    plain = insert(b'{"a":1}') + b"\n"
    decoder, parts = decode(plain + HELLO + plain + b"x\n" + plain + MARK + insert(b'{"b":2}') + b"\n")
    assert messages_of(parts) == [Items(b'{"a":1}\n', 1), Hello("test/1"), Items(b'{"b":2}\n', 1)]
    assert [part for part in parts if isinstance(part, Forged)] == [Forged(plain[:-1])]
    assert decoder.forged == 2 and decoder.bad == 0
    assert text_of(parts) == plain + b"x\n" + plain


def test_strict_mode_needs_no_hello():
    decoder, parts = decode(insert(b"{}") + b"\n" + MARK + insert(b'{"a":1}') + b"\n", "strict")
    assert items_of(parts) == [b'{"a":1}'] and decoder.forged == 1


def test_ordinary_json_lines_are_not_counted_as_forged():
    decoder, parts = decode(HELLO + b'{"type":"access","level":"info"}\n{"type":"LOG","msg":"x"}\n')
    assert decoder.forged == decoder.bad == 0 and messages_of(parts) == [Hello("test/1")]


@pytest.mark.parametrize("last", [b"\n", b""])
def test_the_last_frame_may_lack_its_newline(last):
    assert items_of(decode(HELLO + MARK + insert(b"{}") + last)[1]) == [b"{}"]


def test_a_half_frame_at_the_end_is_text():
    decoder, parts = decode(MARK + b'{"type":"INSERT_DA')
    assert parts == [Bad("it ends inside a string"), Text(MARK + b'{"type":"INSERT_DA')] and decoder.bad == 1


def test_a_frame_cut_short_by_another_costs_only_itself():
    half = MARK + insert(b'{"a":1}')[:-3]
    decoder, parts = decode(b"t" + half + MARK + insert(b'{"b":2}') + b"\nu\n")
    assert items_of(parts) == [b'{"b":2}'] and text_of(parts) == b"t" + half + b"u\n" and decoder.bad == 1


def test_an_unknown_type_is_ignored_and_kept_as_text():
    frame = MARK + b'{"type":"FUTURE","payload":{}}\n'
    decoder, parts = decode(frame)
    assert parts == [Text(frame)] and decoder.bad == decoder.forged == 0


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[1]", b"{}}", b'{"type":"STATUS"}', b'{"type":"HELLO"}']
)
def test_a_frame_that_is_none_is_bad(body):
    decoder, parts = decode(MARK + body + b"\n")
    assert text_of(parts) == MARK + body + b"\n" and decoder.bad == 1


def test_a_large_frame_with_the_nonce_is_text_and_does_not_hide_the_next():
    large = MARK + insert(b'{"a":"' + b"x" * MAX_FRAME + b'"}') + b"\n"
    decoder, parts = decode(large + MARK + insert(b"{}") + b"\n")
    assert items_of(parts) == [b"{}"] and text_of(parts) == large and decoder.bad == 1


def test_a_control_character_that_marks_nothing_is_text():
    stream = b'\x1e\x1e{}\n\x1e{"json":"sequence"}\n\x00\x1e \x1e{\n' + b"\x1e" * 1000
    decoder, parts = decode(stream)
    assert parts == [Text(stream)] and decoder.bad == decoder.forged == 0


GUESSES = [
    NONCE[:-1],
    NONCE + "0",
    NONCE.upper(),
    "x",
    "0" * 128,
    NONCE[::-1],
    '"' + NONCE,
    "\\u001e" + NONCE,
]
FORMS = [b"\x1e%s %s", b"text \x1e%s %s", b"\x1e\x1e%s %s"]


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mode", ["open", "strict"])
def test_frames_with_another_nonce_are_always_forged(guess, form, mode):
    stream = form % (guess.encode(), insert(b'{"forged":1}')) + b"\n"
    decoder, parts = decode(stream, mode)
    assert messages_of(parts) == [] and text_of(parts) == stream and decoder.forged == 1


PAGE = [
    insert(b'{"forged":1}'),
    b"  " + insert(b'[{"forged":1}]') + b"\r",
    b'{"type":"data","payload":[{"forged":1}],"ipc":true}',
    b'{"type":"STATUS","payload":{"progress":1}}',
    b'{"type":"ERROR","payload":{"class":"X","message":"m","fatal":true}}',
    b'{"type":"LOG","payload":{"level":"info"}}',
    b'{"type":"HELLO","payload":{"sdk":"python/1"}}',
    insert(b'{"forged":1')[:-1],
    insert(b'{"forged":NaN}'),
    *(b"<p>\x1e" + guess.encode() + b" " + insert(b'{"forged":1}') for guess in GUESSES),
    b"\x1e" + insert(b'{"forged":1}'),
    b"\x1e " + insert(b'{"forged":1}'),
    b"\x1e" + NONCE[:-1].encode() + insert(b'{"forged":1}'),
]


@pytest.mark.parametrize("start, mode", [(HELLO, "open"), (b"", "strict")])
@pytest.mark.parametrize("size", [1, 7, 4096, 1_000_000])
def test_a_hostile_page_forges_nothing_and_each_try_is_counted(start, mode, size):
    page = b"".join(b"<html>%d\n" % number + line + b"\n" for number, line in enumerate(PAGE * 20))
    portions = [(start + page)[at : at + size] for at in range(0, len(start + page), size)]
    decoder, parts = decode(portions, mode)
    assert messages_of(parts) == ([Hello("test/1")] if start else [])
    assert text_of(parts) == page
    assert decoder.forged == len(PAGE) * 20 and decoder.bad == 0
    assert sum(isinstance(part, Forged) for part in parts) == 1


def pieces(frame: bytes, size: int, name: bytes = b"1-1") -> list[bytes]:
    starts = range(0, len(frame), size)
    return [
        MARK + (b"+" if at + size < len(frame) else b"-") + name + b" " + frame[at : at + size] + b"\n"
        for at in starts
    ]


@pytest.mark.parametrize("size", [1, 5, 30])
def test_pieces_make_a_frame_whatever_lies_between_them(size):
    item = '{"a":"ü\\n","b":[1, 2]}'.encode()
    stream = b"noise ".join([b"<", *pieces(insert(item), size), b">\n"])
    decoder, parts = decode(stream)
    assert items_of(parts) == [item] and decoder.bad == 0
    assert text_of(parts) == b"<" + b"noise " * (len(pieces(insert(item), size)) + 1) + b">\n"


def test_pieces_of_a_sender_that_died_are_given_back():
    first, second = pieces(insert(b'{"a":1}'), 10, b"1-1")[:-1], pieces(insert(b'{"b":2}'), 10, b"2-1")
    decoder, parts = decode(b"".join(first + second))
    assert items_of(parts) == [b'{"b":2}'] and text_of(parts) == b"".join(first) and decoder.bad == 1
    decoder, parts = decode(b"".join(first) + MARK + insert(b"{}") + b"\n")
    assert items_of(parts) == [b"{}"] and text_of(parts) == b"".join(first) and decoder.bad == 1
    decoder, parts = decode(b"".join(first))
    assert text_of(parts) == b"".join(first) and decoder.bad == 1


@pytest.mark.parametrize("line", [b"-1-1 {}", b"+ x", b"+" + b"i" * 41 + b" x", b"+1-1"])
def test_a_piece_that_belongs_nowhere_is_bad(line):
    decoder, parts = decode(MARK + line + b"\n")
    assert text_of(parts) == MARK + line + b"\n" and decoder.bad == 1


def test_pieces_of_more_than_8_mib_are_text():
    stream = b"".join(pieces(insert(b'{"a":"' + b"x" * MAX_FRAME + b'"}'), 4000))
    decoder, parts = decode(stream + MARK + insert(b"{}") + b"\n")
    assert items_of(parts) == [b"{}"] and text_of(parts) == stream and decoder.bad == 1
