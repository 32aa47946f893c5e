"""Every COPY tuple is restored byte for byte, and other Parquet readers read the same values."""

import json
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.packs.errors import NotPackable
from storage.packs.writer import PackWriter
from storage.record.canonical import canonical
from storage.record.copy_binary import fields_of, part_digest
from tests.unit.storage.packs.packing import (
    ODD_METADATA,
    STREAMS,
    json_texts,
    leaf_of_both,
    make_tuple,
    odd_rows,
    pack_of,
    shop_rows,
    tuples_of,
)


def test_unusual_rows_are_restored(tmp_path):
    rows = odd_rows()

    pack, facts = pack_of(tmp_path, rows, leaf=leaf_of_both)

    assert sorted(tuples_of(pack)) == sorted(rows)
    assert facts.rows == len(rows)
    assert facts.copy_bytes == sum(map(len, rows))


def test_rows_are_in_the_order_of_search_results(tmp_path):
    rows = shop_rows(500)

    pack, _ = pack_of(tmp_path, rows[::-1], leaf=leaf_of_both)

    assert tuples_of(pack) == rows


def test_many_blocks_are_restored_from_any_chunking(tmp_path):
    rows = shop_rows(2200)
    data = b"".join(rows)
    writer = PackWriter(
        tmp_path, 7, "info", lambda ids: dict.fromkeys(ids, STREAMS), leaf=leaf_of_both
    )
    for at in range(0, len(data), 100_003):
        writer.feed(data[at : at + 100_003])

    facts = writer.finish()

    from storage.packs.pack import Pack

    pack = Pack(tmp_path, 7)
    assert tuples_of(pack) == rows
    assert facts.blocks == 2
    assert pack.plan.promoted


def test_digests_are_those_of_the_batches(tmp_path):
    rows = shop_rows(700)
    by_batch: dict[int, list[bytes]] = {}
    for row in rows:
        batch = int.from_bytes(fields_of(row)["batch_id"], "big")
        position = int.from_bytes(fields_of(row)["position"], "big")
        by_batch.setdefault(batch, []).append(leaf_of_both("info", batch, position, row, None))

    _, facts = pack_of(tmp_path, rows, leaf=leaf_of_both)

    # Batches of both versions: the version is that of the batch's first row.
    found = {batch: digest for batch, _, digest in facts.parts}
    assert set(found) == set(by_batch)
    for batch, leaves in by_batch.items():
        expected = {part_digest("info", batch, b"".join(leaves), version) for version in (1, 2)}
        assert found[batch] in expected


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                "metadata": st.dictionaries(
                    st.sampled_from(["attributes", "otel", "body", "x"]), json_texts, max_size=3
                ).map(lambda value: canonical(value).decode())
                | st.sampled_from(ODD_METADATA),
                "message": st.text(st.characters(codec="utf-8", exclude_characters="\0")),
                "actor_id": st.sampled_from(["", "a", "é", '"']),
                "created_unix_ns": st.integers(0, 2**64 - 1),
                "duration_ns": st.integers(-(2**63), 2**63 - 1),
                "id": st.binary(min_size=16, max_size=16),
                "nonce": st.none() | st.binary(max_size=17),
                "span_id": st.binary(max_size=9),
                "batch_id": st.integers(-(2**63), 2**63 - 1),
            },
        ),
        min_size=1,
        max_size=12,
    )
)
def test_any_row_is_restored(tmp_path, fields):
    rows = [make_tuple(n, **given) for n, given in enumerate(fields)]

    pack, _ = pack_of(tmp_path, rows, leaf=leaf_of_both)

    assert sorted(tuples_of(pack)) == sorted(rows)


@pytest.mark.parametrize(
    "data",
    [b"\x00\x05abc", make_tuple()[:-1], make_tuple(level=None), make_tuple(ip_address=b"\1\2\3\4")],
)
def test_invalid_tuples_are_rejected(tmp_path, data):
    with pytest.raises(NotPackable):
        pack_of(tmp_path, [data])

    assert not list(tmp_path.iterdir())


def test_a_pack_needs_rows(tmp_path):
    with pytest.raises(NotPackable):
        pack_of(tmp_path, [])


def test_headers_and_trailers_of_copy_are_accepted(tmp_path):
    from storage.packs.pack import Pack
    from storage.record.copy_binary import HEADER, TRAILER

    rows = shop_rows(20)
    writer = PackWriter(
        tmp_path, 7, "info", lambda ids: dict.fromkeys(ids, STREAMS), leaf=leaf_of_both
    )
    for half in (rows[:10], rows[10:]):
        data = HEADER + b"".join(half) + TRAILER
        for at in range(0, len(data), 7):
            writer.feed(data[at : at + 7])
        writer.start_copy()
    writer.finish()

    assert tuples_of(Pack(tmp_path, 7)) == rows


def number_or(value):
    return json.loads(value, parse_float=Decimal, parse_int=Decimal)


@pytest.fixture(params=["shop", "odd"])
def rows(request):
    return shop_rows(500) if request.param == "shop" else odd_rows()[:-3]


def test_other_readers_read_the_same_values(tmp_path, rows):
    import duckdb
    import polars as pl
    import pyarrow.parquet as pq

    pack, _ = pack_of(tmp_path, rows, leaf=leaf_of_both, block_rows=256)
    names = [spec.name for spec in pack.plan.columns]
    table = pq.read_table(pack.path, page_checksum_verification=True)
    frame = pl.read_parquet(pack.path)
    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    for name in names:
        own = []
        for block in pack.each_block():
            own += plain(name, pack, block.get(name).values())
        assert plain(name, pack, table.column(name).to_pylist()) == own, name
        assert plain(name, pack, frame.get_column(name).to_list()) == own, name
        assert plain(name, pack, duck_column(duck, pack, name)) == own, name


def duck_column(duck, pack, name):
    quoted = name.replace('"', '""')
    found = duck.execute(f"""SELECT "{quoted}" FROM '{pack.path}'""").fetchall()
    return [value for (value,) in found]


def plain(name, pack, values):
    spec = next(spec for spec in pack.plan.columns if spec.name == name)
    out = []
    for value in values:
        if value is None:
            out.append(None)
        elif spec.kind.value == "time" and not isinstance(value, int):
            from datetime import UTC, datetime, timedelta

            at = value.replace(tzinfo=UTC) if value.tzinfo is None else value
            out.append((at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1))
        elif spec.kind.value == "decimal" and not isinstance(value, int):
            out.append(int(value.scaleb(spec.scale)))
        elif spec.kind.value == "uuid":
            out.append(value.bytes if isinstance(value, UUID) else bytes(value))
        elif spec.kind.value == "boolean":
            out.append(bool(value))
        else:
            out.append(value.encode() if isinstance(value, str) else value)
    return out


def test_duckdb_rebuilds_system_logs_from_the_file_alone(tmp_path, rows):
    import duckdb

    pack, _ = pack_of(tmp_path, rows, leaf=leaf_of_both, block_rows=256)
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    found = connection.execute(f"SELECT key, value FROM parquet_kv_metadata('{pack.path}')")
    sql = json.loads({bytes(k): v for k, v in found.fetchall()}[b"opslog.sql"])
    ours = [pack.rows(n, range(int(zone["rows"]))) for n, zone in enumerate(pack.blocks)]
    records = [record for block in ours for record in block]
    assert set(sql) == set(records[0])
    for name, expression in sql.items():
        values = connection.execute(f"SELECT {expression} FROM '{pack.path}'").fetchall()
        for (value,), record in zip(values, records, strict=True):
            assert comparable(name, value) == comparable(name, record[name]), (name, record)


def comparable(name, value):
    if value is None:
        return None
    if name == "metadata":
        try:
            return number_or(value)
        except ValueError:
            return value
    if name == "ip_address":
        return str(value)
    if name == "kind":
        return value.encode() if isinstance(value, str) else value
    return value
