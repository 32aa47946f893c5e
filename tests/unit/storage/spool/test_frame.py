"""Frames: written data is read back, and any damage is detected."""

import dataclasses
import random
import struct
from pathlib import Path
from zlib import crc32

import orjson
import pytest

from storage.record.copy_binary import leaf_of, part_digest, rows_of
from storage.spool import frame as frames
from storage.spool.frame import (
    PREFIX_BYTES,
    FrameDamaged,
    FrameUnknown,
    decode_frame,
    encode_frame,
    find_frame,
    read_head,
)
from tests.support.records import full_record, make_frame, make_record


def whole(frame) -> bytes:
    return b"".join(encode_frame(frame))


def test_a_frame_reads_back_as_it_was_written():
    frame = make_frame([full_record(seed) for seed in range(30)], rejected={"below_min_level": 2})

    again, size = decode_frame(whole(frame))

    assert again == frame
    assert size == len(whole(frame))


def test_frames_follow_each_other():
    first, second = make_frame([make_record()]), make_frame([make_record(), make_record()])
    data = whole(first) + whole(second)

    assert decode_frame(data)[0] == first
    assert decode_frame(data, len(whole(first)))[0] == second


def test_a_frame_truncated_anywhere_is_torn():
    data = whole(make_frame([make_record()]))

    for length in range(len(data)):
        with pytest.raises(FrameDamaged) as caught:
            decode_frame(data[:length])
        assert caught.value.torn, length


def test_any_changed_byte_is_noticed():
    data = whole(make_frame([make_record()]))

    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 0x40
        with pytest.raises((FrameDamaged, FrameUnknown)):
            decode_frame(bytes(damaged) + data)


def test_a_damaged_payload_reports_the_next_frame():
    data = bytearray(whole(make_frame([make_record()])))
    data[-10] ^= 1

    with pytest.raises(FrameDamaged) as caught:
        decode_frame(bytes(data))

    assert caught.value.size == len(data)
    assert not caught.value.torn


def test_a_newer_frame_is_not_treated_as_damage(monkeypatch):
    monkeypatch.setattr(frames, "FRAME_VERSION", 3)
    data = whole(make_frame([make_record()]))
    monkeypatch.undo()

    with pytest.raises(FrameUnknown, match="frame version 3"):
        decode_frame(data)
    assert find_frame(b"xx" + data, 0) == 2


def test_a_frame_of_the_release_before_is_read():
    data = (Path(__file__).parent / "frames" / "version_1.frame").read_bytes()

    frame, size = decode_frame(data)

    part = frame.parts[0]
    (row,) = rows_of(part.copy_bytes)
    assert size == len(data)
    assert (frame.encoding_version, frame.secret, frame.rows) == (1, b"", 1)
    assert leaf_of(row) == part.leaves
    assert part_digest(part.class_name, frame.batch_id, part.leaves, 1) == part.digest


def test_the_release_before_refuses_a_frame_of_now(monkeypatch):
    data = whole(make_frame([make_record()]))
    monkeypatch.setattr(frames, "FRAME_VERSION", 1)
    monkeypatch.setattr(frames, "ENCODING_VERSION", 1)

    with pytest.raises(FrameUnknown, match="start the newer release to drain this spool"):
        decode_frame(data)


def test_implausible_lengths_are_damage():
    data = bytearray(whole(make_frame([make_record()])))
    data[8:12] = b"\xff\xff\xff\xff"

    with pytest.raises(FrameDamaged, match="plausible"):
        read_head(bytes(data))


def test_the_next_frame_is_found_behind_garbage():
    data = whole(make_frame([make_record()]))
    noise = random.Random(7).randbytes(5000) + frames.MAGIC + b"not a frame"

    assert find_frame(noise + data, 0) == len(noise)
    assert find_frame(noise, 0) == -1


def test_a_head_with_negative_lengths_is_damage():
    """Its checksum is correct, but the lengths would lead backwards."""
    made = make_frame([make_record()])
    part = dataclasses.replace(made.parts[0], rows=-1)

    data = b"".join(encode_frame(dataclasses.replace(made, parts=(part,))))

    with pytest.raises(FrameDamaged):
        frames.read_head(data)


def with_header(frame, **changes) -> bytes:
    """The frame with another header, under a checksum that is right."""
    data = whole(frame)
    magic, version, encoding, length, payload, _ = frames._PREFIX.unpack_from(data)
    header = {**orjson.loads(data[PREFIX_BYTES : PREFIX_BYTES + length]), **changes}
    text = orjson.dumps(header)
    prefix = struct.pack(">4sHHIQ", magic, version, encoding, len(text), payload)
    crc = struct.pack(">I", crc32(text, crc32(prefix)))
    return prefix + crc + text + data[PREFIX_BYTES + length :]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"parts": None}, "header is not valid"),
        ({"parts": [{}]}, "header is not valid"),
        ({"batch_id": "7"}, "header is not valid"),
        ({"batch_id": -1}, "header does not match its payload"),
        ({"parts": []}, "header does not match its payload"),
        ({"streams": [{}]}, "header is not valid"),
        ({"secret": "no hex"}, "header is not valid"),
        ({"rejected": None, "request_hash": 7}, "header is not valid"),
    ],
)
def test_a_header_that_makes_no_sense_is_damage(changes, problem):
    """With a correct checksum: the writer would otherwise fail on it forever."""
    data = with_header(make_frame([make_record()]), **changes)

    with pytest.raises(FrameDamaged, match=problem):
        decode_frame(data)
