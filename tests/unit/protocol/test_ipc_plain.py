"""Plain frames: lines of their own, in our form and in Crawlab's."""

import json

import pytest
from ipc_stream import decode, insert, items_of, messages_of, text_of

from silkmill.protocol.ipc import MAX_FRAME, Decoder
from silkmill.protocol.ipcparts import Bad, Error, Items, Log, Status, Text


def test_items_come_out_exactly_as_sent_and_in_order():
    first, second = b'{ "a" : 1.50, "b":[ ] }', '{"ü":"\\u00e9\\/", "big":1234567890123456789}'.encode()
    decoder, parts = decode(insert(first) + b"\n" + insert(b"[" + second + b" , {}]") + b"\n")
    assert parts == [Items(first + b"\n" + second + b"\n{}\n", 3)]
    assert decoder.bad == 0


@pytest.mark.parametrize("before", [b"", b" ", b"\t  ", b" " * 1000])
@pytest.mark.parametrize("after", [b"\n", b"\r\n", b" \t\r\n", b""])
def test_blanks_around_a_frame_are_tolerated(before, after):
    assert decode(before + insert(b'{"a":1}') + after)[1] == [Items(b'{"a":1}\n', 1)]


def test_text_around_frames_keeps_its_bytes_and_order():
    stream = b"one\n" + insert(b"{}") + b"\ntwo\n\n" + insert(b"{}") + b"\nthree"
    _, parts = decode(stream)
    assert parts == [Text(b"one\n"), Items(b"{}\n", 1), Text(b"two\n\n"), Items(b"{}\n", 1), Text(b"three")]


def test_text_without_frames_is_given_in_one_piece():
    lines = b"".join(b"line %d of a log\n" % number for number in range(1000))
    assert Decoder("n", "open").feed(lines) == [Text(lines)]


@pytest.mark.parametrize(
    "payload, progress",
    [
        (b'{"progress":0.25,"message":"half way","pages":12}', 0.25),
        (b'{"progress":1}', 1.0),
        (b'{"progress":1.5}', None),
        (b'{"progress":-0.5}', None),
        (b'{"progress":"0.5"}', None),
        (b'{"progress":' + b"9" * 6000 + b"}", None),
        (b"{}", None),
    ],
)
def test_status_carries_its_payload_and_progress(payload, progress):
    _, parts = decode(b'{"type":"STATUS","payload":' + payload + b"}\n")
    assert parts == [Status(payload, progress)]


def test_error_carries_class_message_and_fatal():
    _, parts = decode(b'{"payload":{"message":"no \\u00fc\\n","class":"Oops","fatal":true},"type":"ERROR"}\n')
    assert parts == [Error("Oops", "no ü\n", True)]
    assert decode(b'{"type":"ERROR","payload":{}}\n')[1] == [Error("", "", False)]


def test_log_carries_the_json_as_sent():
    assert decode(b'{"type":"LOG","payload":{"level": "info"}}\n')[1] == [Log(b'{"level": "info"}')]


@pytest.mark.parametrize(
    "line, items",
    [
        (b'{"type":"data","payload":[{"a":1},{"b":2}],"ipc":true}', [b'{"a":1}', b'{"b":2}']),
        (b'{"type":"insert_data","payload":{"a":1},"ipc":true}', [b'{"a":1}']),
        (b'{"type":"","payload":{"a":1},"ipc":true}', [b'{"a":1}']),
        (b'{"type":null,"payload":{"a":1},"ipc":true}', [b'{"a":1}']),
        (b'{"ipc":true,"payload":{"a":1}}', [b'{"a":1}']),
        (b'{"type":"data","payload":[],"ipc":true}', []),
        (b'{"type":"data","payload":null,"ipc":true}', []),
        (b'{"ipc":true}', []),
    ],
)
def test_crawlab_frames_are_taken(line, items):
    decoder, parts = decode(line + b"\n")
    assert items_of(parts) == items
    assert text_of(parts) == b"" and decoder.bad == 0


@pytest.mark.parametrize(
    "line",
    [
        b'{"level":"info","message":"ordinary JSON"}',
        b'{"type":"access","payload":{"a":1}}',
        b'{"type":"data","payload":{"a":1}}',
        b'{"type":"data","payload":{"a":1},"ipc":"true"}',
        b'{"type":"data","payload":{"a":1},"ipc":false}',
        b'{"type":"other","payload":{"a":1},"ipc":true}',
        b'{"type":"LOG","message":"a type, but no payload"}',
        b'{"type":["LOG"],"payload":{}}',
        b'{"outer":{"type":"INSERT_DATA","payload":{"a":1}}}',
        b'{"type":"HELLO","payload":{"sdk":"python/1"}}',
        b" " * 1001 + insert(b"{}"),
        b'text {"type":"INSERT_DATA","payload":{"a":1}}',
        b'["type","INSERT_DATA"]',
        b"{'type': 'INSERT_DATA'}",
        b"{",
        b'{"',
        b'{"type"',
    ],
)
def test_other_lines_are_log_text_and_not_counted(line):
    decoder, parts = decode(line + b"\n")
    assert parts == [Text(line + b"\n")]
    assert decoder.bad == decoder.forged == 0


@pytest.mark.parametrize(
    "line, reason",
    [
        (insert(b'{"a":NaN}'), "value"),
        (insert(b'{"a":-Infinity}'), "value"),
        (insert(b'{"a":1,"a":2}'), "duplicate"),
        (insert(b'{"\\u0061":1,"a":2}'), "duplicate"),
        (insert('{"é":1,"\\u00e9":2}'.encode()), "duplicate"),
        (insert(b'{"a":{"b":[{"c":1,"c":1}]}}'), "duplicate"),
        (b'{"type":"STATUS","type":"INSERT_DATA","payload":{}}', "duplicate"),
        (insert(b"[" * 100_000 + b"]" * 100_000), "deeper"),
        (insert(b'{"a":' * 100_000), "deeper"),
        (insert(b'{"a":"\xff"}'), "UTF-8"),
        (insert(b'{"a":"\xed\xa0\x80"}'), "UTF-8"),
        (insert(b'{"a":"\\ud800"}'), "surrogate"),
        (insert(b'{"a":"\\udc00\\ud800"}'), "surrogate"),
        (insert(b'{"a":"\\\\ud800\\udc00"}'), "surrogate"),
        (insert(b'{"a":"\t"}'), "control"),
        (insert(b'{"a":"\x00"}'), "control"),
        (insert(b'{"a":01}'), "comma"),
        (insert(b"{'a':1}"), "key"),
        (insert(b'{"a":1,}'), "key"),
        (insert(b'{"a":1]'), "bracket"),
        (insert(b'{"a":1}')[:-1], "early"),
        (insert(b'{"a":1}')[:-4], "missing"),
        (insert(b'{"a":"half an it'), ""),
        (insert(b'{"a":1}') + b" trailing", "after"),
        (insert(b'{"a":1}') * 2, "after"),
        (insert(b'[{"a":1},2]'), "not a JSON object"),
        (insert(b'["a"]'), "not a JSON object"),
        (insert(b"5"), "neither"),
        (insert(b'"text"'), "neither"),
        (b'{"type":"data","payload":[{"a":NaN}],"ipc":true}', "value"),
        (b'{"type":"STATUS","payload":[]}', "not an object"),
        (b'{"type":"LOG","payload":"text"}', "not an object"),
        (b'{"type":"ERROR","payload":{"class":5}}', "not a string"),
        (b'{"type":"ERROR","payload":{"fatal":"yes"}}', "neither true nor false"),
        (b'{"type":"STATUS","payload":{"a":"' + b"x" * 65_536 + b'"}}', "64 KiB"),
    ],
)
def test_a_bad_frame_is_text_and_counted(line, reason):
    decoder, parts = decode(b"before\n" + line + b"\nafter\n")
    assert [type(part) for part in parts] == [Text, Bad, Text]
    assert text_of(parts) == b"before\n" + line + b"\nafter\n"
    assert reason in parts[1].reason
    assert decoder.bad == 1


def test_all_digits_of_an_integer_stay():
    item = b'{"big":' + b"7" * 6000 + b',"list":[1234567890123456789]}'
    assert items_of(decode(insert(item) + b"\n" + insert(b"[" + item + b"]") + b"\n")[1]) == [item, item]


def test_a_number_longer_than_the_scanned_window_is_one_number():
    line = b'{"n":' + b"7" * 200_000 + b',"type":"LOG","payload":{}}'
    assert decode(line + b"\n")[1] == [Log(b"{}")]


def test_surrogate_pairs_and_nul_are_kept():
    item = rb'{"a":"\ud83d\ude00 \\ud800 \u0000"}'
    assert items_of(decode(insert(item))[1]) == [item]


def test_depth_512_is_taken_and_513_is_not():
    assert items_of(decode(insert(b'{"a":' + b"[" * 511 + b"]" * 511 + b"}"))[1])
    decoder, parts = decode(insert(b'{"a":' + b"[" * 512 + b"]" * 512 + b"}"))
    assert not items_of(parts) and decoder.bad == 1


def test_an_item_of_5_mb_is_one_item():
    item = json.dumps({"body": "ab\u00fc\n" * 1_000_000}, ensure_ascii=False).encode()
    assert items_of(decode(insert(item) + b"\n")[1]) == [item]


@pytest.mark.parametrize("fill", [b"x", "ü".encode(), b"\\n"])
def test_a_frame_of_8_mib_is_taken_and_a_larger_one_is_text(fill):
    room = MAX_FRAME - len(insert(b'{"a":""}'))
    largest = insert(b'{"a":"' + fill * (room // len(fill)) + b"y" * (room % len(fill)) + b'"}')
    assert len(largest) == MAX_FRAME
    assert len(items_of(decode(largest + b"\n")[1])) == 1
    decoder, parts = decode(b" " + largest + b"\n" + insert(b"{}") + b"\n")
    assert decoder.bad == 1 and items_of(parts) == [b"{}"] and text_of(parts) == b" " + largest + b"\n"


def test_a_long_line_that_is_no_frame_is_given_out_while_it_comes():
    decoder, given = Decoder("n", "open"), 0
    for _ in range(20):
        given += len(text_of(decoder.feed(b'{"a":"' + b"x" * 1_000_000)))
    assert given > 11_000_000 and decoder.bad == 0


def test_a_frame_of_many_small_items_is_cut_into_each():
    elements = [b'{"n":%d,"text":"%s"}' % (number, b"y" * (number % 50)) for number in range(20_000)]
    assert items_of(decode(insert(b"[" + b", ".join(elements) + b"]"))[1]) == elements


def test_a_bad_element_refuses_the_whole_frame():
    elements = [b'{"n":%d}' % number for number in range(20_000)] + [b'{"n":NaN}']
    decoder, parts = decode(insert(b"[" + b",".join(elements) + b"]") + b"\n")
    assert not messages_of(parts) and decoder.bad == 1


def test_a_frame_may_not_go_on_in_the_next_line():
    stream = b'{"type":"INSERT_DATA","payload":{"a":1,\n"b":2}}\n'
    decoder, parts = decode(stream)
    assert text_of(parts) == stream and decoder.bad == 1


@pytest.mark.parametrize(
    "nonce, mode", [("", "open"), ("a b", "open"), ("x" * 129, "open"), ("ü", "open"), ("n", "")]
)
def test_a_wrong_nonce_or_mode_is_refused(nonce, mode):
    with pytest.raises(ValueError):
        Decoder(nonce, mode)
