"""Blocks, plans and lookups at their limits."""

from ipaddress import ip_network
from unittest.mock import patch

import numpy as np
import pytest

from storage.filtering.filters import (
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    Comparison,
    FieldEquals,
    FieldPrefix,
    FieldPresent,
    IpIn,
    Regex,
    Text,
    TimeRange,
)
from storage.packs import pack as packs_pack
from storage.packs import writer as pack_writer
from storage.packs.errors import NotPackable, PackDamaged
from storage.packs.index import templates as pack_templates
from storage.packs.pack import Pack, moment
from storage.packs.parquet.decode import Column
from storage.packs.scalars import DECIMAL, DOUBLE, LINK
from storage.packs.search.texts import HIGHEST, LOWEST, time_bounds
from storage.packs.spool import TupleSpool
from storage.packs.writer import PackWriter
from storage.record import fields
from tests.unit.storage.packs.packing import (
    BASE_NS,
    STREAMS,
    inet,
    leaf_of_both,
    make_tuple,
    pack_of,
    shop_rows,
    tuples_of,
)


def test_damage_names_block_and_row(tmp_path):
    error = PackDamaged(tmp_path / "7.parquet", "a wrong byte", block=2, row=5)

    assert str(error) == f"{tmp_path}/7.parquet, block 2, row 5: a wrong byte"


def test_a_decimal_that_does_not_fit_all_rows_becomes_a_double(tmp_path):
    values = ["1.25", "2.5", "0.123456789012345"] * 20
    rows = [
        make_tuple(n, metadata=f'{{"attributes": {{"ratio": {value}}}}}')
        for n, value in enumerate(values)
    ]
    with patch.object(pack_writer, "_SAMPLE", 20):
        pack, _ = pack_of(tmp_path, rows)

    assert [item.kind for item in pack.plan.promoted] == [DOUBLE]
    assert tuples_of(pack) == rows


def test_the_first_plan_of_a_decimal(tmp_path):
    rows = [make_tuple(n, metadata='{"attributes": {"ratio": 1.25}}') for n in range(50)]
    pack, _ = pack_of(tmp_path, rows)

    assert [(item.kind, item.scale) for item in pack.plan.promoted] == [(DECIMAL, 2)]
    every = list(range(len(pack.blocks)))
    assert pack.candidate_blocks(AttrEquals("ratio", "7.5")) == every
    assert pack.candidate_blocks(AttrEquals("ratio", "7")) == every
    assert pack.matches(0, AttrEquals("ratio", "1.250")) == list(range(50))


def test_a_block_ends_at_many_grams(tmp_path):
    rows = shop_rows(400)
    with (
        patch.object(pack_writer, "MOST_GRAMS", 500),
        patch.object(pack_writer, "_RELEASE_EVERY", 1),
    ):
        pack, _ = pack_of(tmp_path, rows, leaf=leaf_of_both)

    assert max(pack.blocks["rows"]) == pack_writer.STEP
    assert tuples_of(pack) == rows


def test_a_block_ends_at_long_texts(tmp_path):
    rows = [make_tuple(n, message="long " * 100_000) for n in range(5)]
    pack, _ = pack_of(tmp_path, rows)

    assert pack.blocks["rows"].tolist() == [2, 2, 1]


def test_places_are_measured_by_origin(tmp_path):
    writer = PackWriter(tmp_path, 7, "info", lambda ids: dict.fromkeys(ids, STREAMS))
    writer.measures = True
    writer.feed(b"".join(shop_rows(50)[1:7]))
    writer.finish()

    assert writer.builder is not None
    assert writer.builder.distinct_by_part["grams 3"] > 0


def test_metadata_that_is_no_json_is_kept(tmp_path):
    """As every byte of a tuple; no PostgreSQL would store it."""
    rows = [make_tuple(n, metadata="no json {") for n in range(3)]
    pack, _ = pack_of(tmp_path, rows)

    assert tuples_of(pack) == rows
    assert pack.matches(0, AttrEquals("no", "x")) == []


def test_a_spool_rejects_what_is_incomplete(tmp_path):
    spool = TupleSpool(tmp_path)
    spool.release()
    with pytest.raises(NotPackable, match="incomplete"):
        spool.add([make_tuple()[:-1]], [False])
    spool.feed(make_tuple()[:40])
    with pytest.raises(NotPackable, match="incomplete"):
        spool.start_copy()
    spool.close()


def test_times_are_counted_by_zone_maps(tmp_path):
    rows = shop_rows(600)
    pack, _ = pack_of(tmp_path, rows, leaf=leaf_of_both, block_rows=128)
    condition = TimeRange(BASE_NS + 200 * 1_000_000, BASE_NS + 500 * 1_000_000)
    each = [row for block in range(len(pack.blocks)) for row in pack.matches(block, condition)]
    read = []
    matches = Pack.matches
    with patch.object(Pack, "matches", lambda *of: read.append(of[1]) or matches(*of)):
        assert pack.count(condition) == len(each)

    assert 0 < len(read) < len(pack.blocks)
    assert time_bounds(TimeRange(None, None)) == (LOWEST, HIGHEST)
    pack.release()


def test_times_beyond_datetime_are_clipped():
    assert moment(2**62) == packs_pack._LATEST
    assert moment(-(2**62)) == packs_pack._EARLIEST


def test_too_many_templates_are_not_kept(tmp_path):
    rows = [make_tuple(n, message=f"word{chr(97 + n % 26) * (n + 1)} here") for n in range(200)]
    rows.append(make_tuple(200, message="one\nof two lines"))
    with (
        patch.object(pack_templates, "_TOO_MANY", 50),
        patch.object(pack_templates, "_LOOKED_AT", 1),
    ):
        pack, _ = pack_of(tmp_path, rows, block_rows=128)

    assert pack.templates is None
    assert pack.count(Text("here")) == 200


def test_damaged_values_name_their_block(tmp_path):
    pack, _ = pack_of(tmp_path, [make_tuple(n, trace_id=bytes(16)) for n in range(3)])
    wrong = Column(3, buffer=b"abc", ends=np.arange(4))
    with (
        patch("storage.packs.blocks.DataFile.column", return_value=wrong),
        pytest.raises(PackDamaged, match="block 0: column trace_id"),
    ):
        pack.columns(0, ["trace_id"])
    with (
        patch("storage.packs.blocks.tuples_of", side_effect=ValueError("wrong")),
        pytest.raises(PackDamaged, match="block 0: wrong"),
    ):
        pack.tuples(0)


def test_lookups_that_exclude_blocks_and_those_that_cannot(tmp_path):
    rows = [
        make_tuple(n, actor_id=f"u-{n}", ip_address=inet(bytes([10, 0, 0, n % 4])),
                   metadata=f'{{"attributes": {{"user.id": "u-{n}"}}}}')
        for n in range(256)
    ]  # fmt: skip
    pack, _ = pack_of(tmp_path, rows, block_rows=128)
    assert [item.kind for item in pack.plan.promoted] == [LINK]
    cases = {
        FieldEquals(fields.MESSAGE, "order 250 placed"): [1],
        FieldPrefix(fields.MESSAGE, "order 250 pla"): [1],
        FieldPrefix(fields.ACTOR_ID, "u-2"): [0, 1],
        Regex("u-[0-9]", False, fields.ACTOR_ID): [0, 1],
        Text("shipped"): [],
        Text("pl"): [0, 1],
        IpIn(ip_network("10.9.9.9/32")): [],
        IpIn(ip_network("10.0.0.0/8")): [0, 1],
        IpIn(ip_network("::1/128")): [0, 1],
        AttrEquals("user.id", "u-7"): [0],
        AttrEquals("other", "1" * 30): [0, 1],
        AttrPrefix("user.id", "u-7"): [0, 1],
        AttrPrefix("other", "unseen"): [],
        AttrPrefix("other", "tr"): [0, 1],
    }

    found = {condition: pack.candidate_blocks(condition) for condition in cases}

    assert found == cases


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (IpIn(ip_network("10.0.0.0/24")), [0, 3]),
        (IpIn(ip_network("10.0.0.1/32")), [0]),
        (IpIn(ip_network("::/0")), [2]),
        (FieldPresent(fields.MESSAGE), [0, 1, 2, 3]),
        (AttrEquals("k", "true"), [0]),
        (AttrEquals("k", "1.0"), [1]),
        (AttrEquals("k", "a"), [2]),
        (AttrEquals('a"b', "x"), [3]),
        (AttrCompare("k", Comparison.GREATER, "0"), [1]),
        (AttrPrefix("k", "tr"), [0]),
        (AttrRegex("k", "^A$", True), [2]),
        (AttrPresent('a"b'), [3]),
        (Text("ORDER", ignores_case=True), [0, 1, 2, 3]),
        (Text("\u0130", ignores_case=True), []),
        (TimeRange(None, BASE_NS + 1), [0]),
    ],
)
def test_rows_are_selected(tmp_path, condition, expected):
    metadata = [
        '{"attributes": {"k": true}}',
        '{"attributes": {"k": 1}}',
        '{"attributes": {"k": "a"}}',
        '{"attributes": {"a\\"b": "x", "k": [true]}}',
    ]
    addresses = [inet(b"\x0a\0\0\1"), None, inet(bytes(16)), inet(b"\x0a\0\0\1", 24)]
    rows = [
        make_tuple(n, metadata=text, ip_address=address, message=f"order {n} s")
        for n, (text, address) in enumerate(zip(metadata, addresses, strict=True))
    ]
    pack, _ = pack_of(tmp_path, rows)

    assert pack.matches(0, condition) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("", 3),
        ("a\nb", 0),
        ("order  by", 0),
        ("by u-1 now", 1),
        (" by ", 3),
        ("y u-9", 0),
        ("rder 1", 1),
    ],
)
def test_phrases_beside_variables_are_counted(tmp_path, phrase, expected):
    rows = [make_tuple(n, message=f"order {n} placed by u-{n} now") for n in range(3)]
    rows += [make_tuple(n, message="x" * 3000) for n in range(3, 20)]
    pack, _ = pack_of(tmp_path, rows)

    assert pack.templates is not None
    assert pack.count(Text(phrase)) == (20 if not phrase else expected)


def test_texts_that_are_not_canonical_are_kept_whole(tmp_path):
    """No PostgreSQL prints them, but a tuple may hold any bytes."""
    texts = [
        "{k: 1}",
        '{"attributes"}',
        '{"attributes": {k: 1}}',
        '{"attributes": {"k": 1,"l": 2}}',
        '{"attributes": {"k": 1}, "attributes": {"k": 2}}',
        '{"attributes": {"k": "open}}',
        '{"attributes": {"k": 1}',
        '{"attributes": {"k": 1',
        '{"attributes": {"k": 1},"b": 2}',
        '{"a": 1,"b": 2}',
        '{"a": "open}',
        '{"b": 1, "a": 2}',
        "{}}",
        '{"attributes": {"l": 1, "k": 2}}',
        '{"attributes": {"kk": {"a": 1}, "k": 2}}',
    ]
    texts += [f'{{"attributes": {{"k": {n}}}}}' for n in range(40)]
    texts += [f'{{"b": {n}, "attributes": {{"k": {n}}}, "attributes2": 1}}' for n in range(300)]
    texts += [f'{{"b": {n}, "zzzzzzzzzzzzz": 1}}' for n in range(300)]
    rows = [make_tuple(n, metadata=text) for n, text in enumerate(texts)]
    pack, _ = pack_of(tmp_path, rows)

    assert [item.name for item in pack.plan.promoted] == ["attributes.k"]
    assert tuples_of(pack) == rows
    assert pack.count(AttrEquals("k", "2")) == 5


def test_an_index_that_does_not_fit_is_refused(tmp_path):
    pack, _ = pack_of(tmp_path, shop_rows(20)[1:7])
    data = pack.path.read_bytes()
    pack.path.chmod(0o600)
    pack.path.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    with pytest.raises(PackDamaged, match="does not belong to its index"):
        Pack(tmp_path, 7)
    with pytest.raises(NotPackable, match="jsonb of version 1"):
        pack_of(tmp_path, [make_tuple()[:-3] + b"\x02{}"], segment=8)
