"""Nonces: derived as written down, different for every row, filled into any tuple."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from storage.record import nonces as nonces_module
from storage.record.copy_binary import fields_of, leaf_of, rows_of
from storage.record.nonces import (
    Completer,
    Nonces,
    batch_of,
    class_key,
    fill,
    has_nonce,
    pads_of,
    position_of,
    with_nonce,
)
from tests.support.records import full_record, make_frame, make_record

NULLABLE = ("duration_ns", "trace_id", "span_id", "parent_span_id", "ip_address", "actor_id")


@given(st.binary(min_size=1, max_size=80), st.text(max_size=30), st.integers(0, 2**31 - 1))
def test_a_nonce_is_what_the_module_says(secret, class_name, position):
    key = hmac.digest(secret, class_name.encode(), "sha256")

    assert class_key(secret, class_name) == key
    pair = hmac.digest(key, (position // 2).to_bytes(4, "big"), "sha256")
    nonces = Nonces(key)
    assert nonces.of(position) == (pair[16:] if position % 2 else pair[:16])
    assert nonces.of(position ^ 1) == (pair[:16] if position % 2 else pair[16:])


def test_rows_classes_and_batches_have_different_nonces():
    keys = [class_key(secret, name) for secret in (b"1" * 16, b"2" * 16) for name in ("a", "b")]

    found = {Nonces(key).of(position) for key in keys for position in range(100)}

    assert len(found) == 400


def test_the_blocks_of_hmac_are_whole():
    inner, outer = pads_of(b"\x36" * 32)

    assert (inner, outer[:1], len(outer)) == (bytes(32) + b"\x36" * 32, b"\x6a", 64)


@given(st.sets(st.sampled_from(NULLABLE)), st.integers(0, 4), st.integers(0, 1000))
def test_the_nonce_is_found_in_any_tuple(absent, level, seed):
    record = full_record(seed)
    record.level = level
    for name in absent:
        setattr(record, name, None)
    frame = make_frame([make_record(level=level), record])
    part = next(part for part in frame.parts if part.rows)
    row = list(rows_of(part.copy_bytes))[-1]
    nonces = Nonces(class_key(frame.secret, part.class_name))

    whole = fill(row, nonces)

    assert not has_nonce(row)
    assert has_nonce(whole)
    position = position_of(row)
    assert position == int.from_bytes(fields_of(row)["position"], "big")
    assert batch_of(row) == frame.batch_id
    assert fields_of(whole) == fields_of(row) | {"nonce": nonces.of(position)}
    assert fill(whole, nonces) == with_nonce(whole, bytes(16)) == whole
    assert with_nonce(row, nonces.of(position)) == whole
    assert leaf_of(whole) == part.leaves[-32:]


def test_rows_of_many_batches_are_completed(monkeypatch):
    monkeypatch.setattr(nonces_module, "_RECENT", 2)
    frames = [make_frame([make_record(), make_record()]) for _ in range(5)]
    keys = {frame.batch_id: class_key(frame.secret, "info") for frame in frames[1:]}
    completer = Completer(keys)
    rows = [row for frame in frames for row in rows_of(frame.parts[0].copy_bytes)]
    leaves = b"".join(frame.parts[0].leaves for frame in frames)

    found = b"".join(leaf_of(completer.completed(row)) for row in rows)

    assert found[64:] == leaves[64:]
    assert completer.completed(rows[0]) == rows[0]
    assert completer.nonce(frames[0].batch_id, 0) is None
    for row, at in zip(rows[2:], range(64, 320, 32), strict=True):
        leaf = leaves[at : at + 32]
        nonce = completer.nonce(batch_of(row), position_of(row))
        assert completer.leaf("info", batch_of(row), position_of(row), row, None) == leaf
        assert Completer({}).leaf("info", 0, 0, row, nonce) == leaf
