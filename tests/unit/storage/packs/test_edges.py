"""What ordinary rows do not reach: many blocks, many templates, many keys, files cut off meanwhile."""

import os
from zlib import crc32

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from storage.filtering.filters import AttrEquals, FieldEquals, FieldPrefix, Text
from storage.packs import spool
from storage.packs.blocks import Block, DataFile
from storage.packs.errors import PackDamaged
from storage.packs.index.layout import IndexFile, write
from storage.packs.pack import Pack
from storage.packs.rewrite import copy_without
from storage.packs.store import PackStore
from storage.packs.verify import check_full, rebuild_index
from storage.packs.writer import PackWriter
from storage.record.fields import KIND, MESSAGE, Kind
from tests.unit.storage.packs.packing import (
    STREAMS,
    leaf_of_both,
    make_tuple,
    pack_of,
    shop_rows,
    tuples_of,
)


def test_memory_is_released_every_few_blocks_and_every_row_is_there(tmp_path):
    rows = [make_tuple(n) for n in range(660)]
    pack, _ = pack_of(tmp_path, rows, block_rows=10)

    assert len(pack.blocks) == 66
    assert tuples_of(pack) == rows
    assert check_full(pack).is_intact


def test_keys_that_do_not_fit_into_the_buffer_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "_PART", 100)
    rows = [make_tuple(n) for n in range(50)]

    pack, _ = pack_of(tmp_path, rows)

    assert tuples_of(pack) == rows


def test_a_batch_of_version_2_keeps_its_stored_nonces(tmp_path):
    """As in a leaf that was unpacked: the nonce is in the tuple, and belongs beside the row."""
    stored = [make_tuple(n, batch_id=5, nonce=b"n" * 16) for n in range(3)]
    own = [make_tuple(n, batch_id=6, nonce=b"o" * 16) for n in range(3, 6)]
    derived = [make_tuple(n, batch_id=5, nonce=None) for n in range(6, 9)]

    pack, _ = pack_of(tmp_path, [*stored, *own, *derived], leaf=leaf_of_both, version_2={5, 9})

    tuples, nonces = pack.tuples(0)
    assert nonces == [b"n" * 16] * 3 + [None] * 6
    assert tuples == [*(make_tuple(n, batch_id=5, nonce=None) for n in range(3)), *own, *derived]
    assert pack.columns(0, ["encoding_version"])["encoding_version"] == [2] * 3 + [1] * 3 + [2] * 3


def test_rare_templates_are_counted_together(tmp_path):
    """More than a thousand: a phrase of the others is found by reading."""
    names = [f"{chr(97 + n // 676)}{chr(97 + n // 26 % 26)}{chr(97 + n % 26)}" for n in range(1100)]
    messages = [f"state {name} reached" for name in names for _ in range(4)]
    messages += ["all is well"] * 600
    pack, _ = pack_of(
        tmp_path, [make_tuple(n, message=text) for n, text in enumerate(messages)], block_rows=512
    )

    assert pack.templates is not None
    for phrase in ("state aaa", "state bqh", "is well", "reached"):
        expected = sum(phrase in message for message in messages)
        assert pack.count(Text(phrase)) == expected


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [("paid by", 40), ("by  42", 0), ("order  paid", 0), ("order 7 paid by u-7", 1), ("9 paid", 4)],
)
def test_phrases_that_meet_variables_are_counted(tmp_path, phrase, expected):
    rows = [make_tuple(n, message=f"order {n} paid by u-{n}") for n in range(40)]
    pack, _ = pack_of(tmp_path, rows)

    assert pack.count(Text(phrase)) == expected


def test_the_words_of_a_line_are_looked_up(tmp_path):
    rows = [make_tuple(n, message=f"request a{n:05d}b of the shop") for n in range(600)]
    pack, _ = pack_of(tmp_path, rows, block_rows=100)
    condition = Text("request a00123b of")

    found = pack.candidate_blocks(condition)
    assert 1 in found
    assert len(found) <= 2
    assert pack.count(condition) == 1


def test_a_filter_by_kind_reads_the_column(tmp_path):
    rows = [make_tuple(n, kind=b"s" if n % 3 else b"l") for n in range(30)]
    pack, _ = pack_of(tmp_path, rows)

    assert pack.matches(0, FieldEquals(KIND, Kind.LOG)) == list(range(0, 30, 3))


def test_a_prefix_of_two_letters_has_no_grams(tmp_path):
    pack, _ = pack_of(tmp_path, [make_tuple(n) for n in range(30)], block_rows=10)

    assert pack.candidate_blocks(FieldPrefix(MESSAGE, "or")) == [0, 1, 2]


def test_at_most_the_limit_of_keys_is_promoted(tmp_path):
    """The others stay in the rest, and are found there."""
    texts = [
        orjson.dumps({"attributes": {f"key{k:02d}": f"v{n % 7}x{k}" for k in range(40)}}).decode()
        for n in range(200)
    ]
    texts = [text.replace(":", ": ").replace(",", ", ") for text in texts]
    rows = [make_tuple(n, metadata=text) for n, text in enumerate(texts)]

    pack, _ = pack_of(tmp_path, rows)

    assert len(pack.plan.promoted) == 24
    assert tuples_of(pack) == rows
    for key in ("key00", "key39"):
        value = f"v3x{int(key[3:])}"
        assert len(pack.matches(0, AttrEquals(key, value))) == sum(n % 7 == 3 for n in range(200))


def test_a_block_that_loses_all_rows_is_not_copied(tmp_path):
    rows = [make_tuple(n) for n in range(30)]
    pack, _ = pack_of(tmp_path, rows, block_rows=10)
    writer = PackWriter(tmp_path, 8, "info", lambda ids: dict.fromkeys(ids, STREAMS))

    gone = copy_without(pack, writer, lambda block: range(10) if block.number == 1 else ())
    writer.finish()

    assert gone == 10
    assert tuples_of(Pack(tmp_path, 8)) == [*rows[:10], *rows[20:]]


def test_an_index_whose_sections_disagree_is_refused(tmp_path):
    pack, _ = pack_of(tmp_path, [make_tuple(n) for n in range(30)], block_rows=10)
    opened = IndexFile(pack.index.path)
    sections = {name: opened.bytes_of(name) for name in opened.header["sections"]}
    sections["blocks"] = sections["blocks"][: len(sections["blocks"]) * 2 // 3]
    pack.index.path.chmod(0o600)
    header = {name: value for name, value in opened.header.items() if name != "sections"}
    write(pack.index.path, header, sections)

    with pytest.raises(PackDamaged, match="the numbers of blocks and pages differ"):
        Pack(tmp_path, 7)


def test_no_index_is_built_for_chunks_of_several_pages(tmp_path):
    pack, _ = pack_of(tmp_path, shop_rows(900), leaf=leaf_of_both)
    other = tmp_path / "1.parquet"
    pq.write_table(
        pq.read_table(pack.path),
        other,
        data_page_size=512,
        write_batch_size=64,
        write_statistics=False,
        use_dictionary=False,
        compression="zstd",
    )

    with pytest.raises(PackDamaged, match="more than one data page"):
        rebuild_index(other, tmp_path / "1.idx")


def test_an_unreadable_column_of_another_layout_is_named(tmp_path):
    """Its page is read by pyarrow, whose error names no file."""
    pack, _ = pack_of(tmp_path, shop_rows(300), leaf=leaf_of_both)
    data = bytearray(pack.path.read_bytes())
    pages = pack._pages[0].copy()
    number = [spec.name for spec in pack.plan.columns].index("message")
    start = int(pack.blocks[0]["at"]) + int(pages[number]["at"])
    size = sum(int(pages[number][name]) for name in ("dictionary_size", "gap", "data_size"))
    data[start : start + size] = os.urandom(size)
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(bytes(data))
    pages["coding"][number] = 15
    pages["crc"][number] = crc32(data[start : start + size])

    with pytest.raises(PackDamaged, match=r"broken\.parquet, block 0: column message"):
        Block(DataFile(broken, pack.plan), 0, int(pack.blocks[0]["at"]), 300, pages).get("message")


@pytest.mark.parametrize("ending", ["parquet", "idx"])
def test_a_pack_that_was_cut_off_is_not_taken_from_the_store(tmp_path, ending):
    store = PackStore(tmp_path)
    (tmp_path / "info").mkdir()
    pack_of(tmp_path / "info", [make_tuple(n) for n in range(300)])
    opened = store.open("info", 7)
    assert store.open("info", 7) is opened
    path = tmp_path / "info" / f"7.{ending}"
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size - 1)

    assert not opened.is_whole
    with pytest.raises(PackDamaged, match=f"7.{ending}"):
        store.open("info", 7)


def test_numbers_of_a_column_without_values_are_zero(tmp_path):
    pack, _ = pack_of(tmp_path, [make_tuple(n) for n in range(5)])

    assert np.array_equal(pack.block(0).get("duration_ns").array(), np.zeros(5))
