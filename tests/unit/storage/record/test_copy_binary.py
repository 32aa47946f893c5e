"""Encoding: one tuple per record, separated by class, hashes and counts that match the bytes."""

import hashlib

from storage.record.classes import CLASS_BY_LEVEL, classify
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import encode, fields_of, part_digest, rows_of
from storage.record.nonces import Nonces, class_key, fill
from storage.spool.batch_ids import BatchIds
from tests.support.records import full_record, make_batch, make_record

SECRET = bytes(range(16))


def encoded(records):
    return encode(
        make_batch(records),
        batch_id=7,
        received_unix_ns=1_700_000_000_000_000_000,
        ingest_key_id=3,
        classify=classify,
        secret=SECRET,
    )


def test_each_class_gets_its_rows_in_order():
    records = [make_record(level=level % 5, message=str(level)) for level in range(20)]

    parts = encoded(records)

    assert [part.class_name for part in parts] == sorted(CLASS_BY_LEVEL)
    debug = next(part for part in parts if part.class_name == "debug")
    messages = [fields_of(row)["message"] for row in rows_of(debug.copy_bytes)]
    positions = [fields_of(row)["position"] for row in rows_of(debug.copy_bytes)]
    assert messages == [b"0", b"5", b"10", b"15"]
    assert positions == [place.to_bytes(4, "big") for place in (0, 5, 10, 15)]


def test_audit_records_have_a_class_of_their_own():
    assert [part.class_name for part in encoded([make_record(kind="audit")])] == ["audit"]


def test_leaves_and_part_hash_cover_the_rows():
    part = encoded([make_record(), make_record()])[0]

    rows = list(rows_of(part.copy_bytes))

    nonces = Nonces(class_key(SECRET, "info"))
    leaves = b"".join(hashlib.sha256(b"\x00" + fill(row, nonces)).digest() for row in rows)
    assert part.leaves == leaves
    assert part.digest == part_digest("info", 7, leaves, 2)
    assert part.digest != part_digest("info", 7, leaves, 1)
    assert part.digest != part_digest("info", 8, leaves, 2)
    assert part.digest != part_digest("warn", 7, leaves, 2)


def test_every_field_is_there_by_name():
    fields = fields_of(next(rows_of(encoded([full_record(3)])[0].copy_bytes)))

    assert tuple(fields) == COPY_COLUMNS
    assert [name for name, value in fields.items() if value is None] == ["nonce"]


def test_a_severity_beyond_16_bits_is_clamped():
    for sent, stored in ((40_000, 32_767), (-40_000, -32_767), (99, 99), (-1, -1)):
        fields = fields_of(
            next(rows_of(encoded([make_record(severity_number=sent)])[0].copy_bytes))
        )
        assert int.from_bytes(fields["severity_number"], "big", signed=True) == stored


def test_counts_add_up_by_minute_level_kind_and_module():
    minute = 28_000_000
    at = minute * 60_000_000_000
    records = [
        make_record(created_unix_ns=at),
        make_record(created_unix_ns=at + 59_999_999_999),
        make_record(created_unix_ns=at + 60_000_000_000),
        make_record(created_unix_ns=at, source_module="cart"),
    ]

    counts = {count[:4]: count[4] for count in encoded(records)[0].counts}

    assert counts == {
        (minute, 1, "l", "checkout"): 2,
        (minute + 1, 1, "l", "checkout"): 1,
        (minute, 1, "l", "cart"): 1,
    }


def test_counts_of_records_that_alternate_add_up():
    """A count is found again after another one was in between."""
    records = [make_record(source_module=("a", "b")[n % 2]) for n in range(6)]

    (part,) = encoded(records)

    assert sorted((count[3], count[4]) for count in part.counts) == [("a", 3), ("b", 3)]


def test_odd_times_are_excluded_from_the_range():
    part = encoded(
        [make_record(created_unix_ns=5_000), make_record(created_unix_ns=1, odd_time=True)]
    )[0]

    assert (part.min_created_us, part.max_created_us, part.odd_times) == (5, 5, 1)


def test_a_part_of_odd_times_only_has_no_range():
    part = encoded([make_record(created_unix_ns=1, odd_time=True)])[0]

    assert (part.min_created_us, part.max_created_us, part.odd_times) == (0, 0, 1)


def test_batch_ids_rise_whatever_the_clock_does():
    ids = BatchIds(5)
    clock = [10**18, 10**18, 10**18 - 10**9, 10**18 + 10**6]

    made = [ids.next(now) for now in clock]

    assert made == sorted(set(made))


def test_batch_ids_continue_after_the_last_one():
    floor = BatchIds(5).next(2 * 10**18)

    assert BatchIds(5, floor).next(10**18) > floor


def test_batch_ids_of_two_spools_never_collide():
    one, two = BatchIds(1), BatchIds(2)

    assert not {one.next(10**18) for _ in range(5000)} & {two.next(10**18) for _ in range(5000)}


def test_the_cache_of_names_is_bounded():
    records = [make_record(action=f"a{n}") for n in range(9000)]

    part = encoded(records)[0]

    assert part.rows == 9000
    assert fields_of(list(rows_of(part.copy_bytes))[8999])["action"] == b"a8999"
