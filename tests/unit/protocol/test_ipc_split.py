"""The same stream gives the same messages, however the reads cut it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ipc_stream import HELLO, MARK, NONCE, decode, insert, portions, text_of

from silkmill.protocol import ipc, ipcruns

_GUESS = b"\x1e" + NONCE[:-2].encode()
_FRAMES = [
    insert(b'{"a":1}'),
    insert('[{"ü":"\\u00e9"},{"b":[1,{"c":null}]}]'.encode()),
    insert(b'{"a":NaN}'),
    insert(b'{"a":"\\ud83d\\ude00"}'),
    insert(b'{"a":"\\ud83d"}'),
    insert(b'{"a":"\x1e"}'),
    b'{"type":"data","payload":[{"x":1}],"ipc":true}',
    b'{"ipc":true}',
    b'{"type":"STATUS","payload":{"progress":0.5}}',
    b'{"type":"LOG","payload":{"level":"info"}}',
    b'{"type":"ERROR","payload":{"class":"E"}}',
    b'{"type":"HELLO","payload":{}}',
    b'{"type":"LOG","message":"text"}',
    b'{"level":"info"}',
]
_SNIPPETS = [
    *_FRAMES,
    MARK,
    *(MARK + frame + b"\n" for frame in _FRAMES),
    *(frame + b"\n" for frame in _FRAMES),
    HELLO,
    MARK + b"+1-1 " + insert(b'{"p":1}')[:20] + b"\n",
    MARK + b"-1-1 " + insert(b'{"p":1}')[20:] + b"\n",
    MARK[:-1],
    _GUESS + b" " + insert(b"{}"),
    _GUESS,
    b"\x1e",
    b"\n",
    b"\r\n",
    b" ",
    b"\t",
    b"{",
    b'{"',
    b'{"type"',
    b'{"type":"LOG"',
    b"text",
    b"\xff\x00",
    b'"ipc":true',
]
_streams = st.lists(st.one_of(st.sampled_from(_SNIPPETS), st.binary(max_size=3)), max_size=12).map(b"".join)
_modes = st.sampled_from(["open", "strict"])


@settings(max_examples=300, deadline=None)
@given(_streams, _modes, st.data())
def test_any_split_gives_the_same_parts(stream, mode, data):
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    whole, expected = decode(stream, mode)
    for split in (portions(stream, cuts), [bytes([byte]) for byte in stream]):
        decoder, parts = decode(split, mode)
        assert parts == expected
        assert (decoder.bad, decoder.forged) == (whole.bad, whole.forged)


@settings(max_examples=300, deadline=None)
@given(_streams, _modes, st.data())
def test_any_split_around_the_largest_frame_gives_the_same_parts(stream, mode, data):
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=20))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ipc, "MAX_FRAME", 40)
        patch.setattr(ipcruns, "_LONGEST_LINE", 0)
        whole, expected = decode(stream, mode)
        for split in (portions(stream, cuts), [bytes([byte]) for byte in stream]):
            decoder, parts = decode(split, mode)
            assert parts == expected
            assert (decoder.bad, decoder.forged) == (whole.bad, whole.forged)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=8), st.booleans()), max_size=10))
def test_the_text_is_the_stream_without_the_frames_taken(pieces):
    text = [piece.replace(b"\x1e", b"").replace(b"\n", b"{\n") for piece, _ in pieces]
    frames = [MARK + insert(b"{}") + b"\n" if framed else b"" for _, framed in pieces]
    stream = b"".join(piece + frame for piece, frame in zip(text, frames, strict=True))
    assert text_of(decode(stream)[1]) == b"".join(text)
