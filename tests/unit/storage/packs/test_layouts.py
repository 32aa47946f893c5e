"""Pages in other layouts are read by pyarrow; damaged pages and sections are reported."""

import random
from zlib import crc32

import numpy as np
import pyarrow.parquet as pq
import pytest
import zstandard

from storage.filtering.filters import Text
from storage.packs.blocks import Chunks, DataFile
from storage.packs.errors import PackDamaged
from storage.packs.index.layout import STRIPE
from storage.packs.pack import Pack
from storage.packs.parquet.decode import decode
from storage.packs.parquet.encode import DELTA, DELTA_LENGTH, encode
from storage.packs.parquet.pick import IS_COMPILED, pick
from storage.packs.parquet.places import PAGE, ZSTD_FLAG
from storage.packs.schema import ColumnSpec, Kind
from storage.packs.verify import rebuild_index, sha256_of
from tests.unit.storage.packs.packing import leaf_of_both, make_tuple, pack_of, shop_rows

UNKNOWN = 15
"""An encoding that decode.py does not know."""


@pytest.fixture
def pack(tmp_path):
    metadata = '{{"attributes": {{"b": {}, "f": 0.1234567{}1, "s": "{}", "ratio": {}.25}}}}'
    rows = shop_rows(150)
    rows += [
        make_tuple(n, metadata=metadata.format(str(n % 2 == 0).lower(), n, n % 5, n))
        for n in range(150, 300)
    ]
    return pack_of(tmp_path, rows, leaf=leaf_of_both, block_rows=256)[0]


@pytest.mark.parametrize(
    "layout",
    [
        {"use_dictionary": False, "compression": "snappy"},
        {"use_dictionary": True, "data_page_version": "2.0", "compression": "gzip"},
        {"use_dictionary": False, "compression": "none", "data_page_size": 100},
    ],
)
def test_pages_of_other_layouts_are_read(tmp_path, pack, layout):
    path = tmp_path / "other.parquet"
    pq.write_table(pq.read_table(pack.path), path, row_group_size=256, **layout)
    group = pq.ParquetFile(path).metadata.row_group(0)
    data = path.read_bytes()
    pages = np.zeros(len(pack.plan.columns), PAGE)
    for number in range(group.num_columns):
        column = group.column(number)
        start = column.dictionary_page_offset or column.data_page_offset
        size = column.total_compressed_size
        pages[number] = (start, 0, size, crc32(data[start : start + size]), 0, UNKNOWN, 0)
    other, own = DataFile(path, pack.plan), pack.block(0)

    kinds = set()
    for spec in pack.plan.columns:
        chunks = Chunks(0, 0, own.rows, pages)
        found = other.column(spec.name, chunks)
        assert other.picked(spec.name, chunks, [0]) is None
        assert found.values() == own.get(spec.name).values(), spec.name
        assert found.distinct() == own.get(spec.name).distinct()
        kinds.add(spec.kind)

    assert kinds == set(Kind)


def changed_page(pack, name, coding):
    """The pages of the first block with another encoding of one column."""
    number = [spec.name for spec in pack.plan.columns].index(name)
    pages = pack._pages[0].copy()
    pages[number]["coding"] = coding
    return pages


def test_damage_within_compression_is_reported(pack):
    data = DataFile(pack.path, pack.plan)
    pages = changed_page(pack, "batch_id", 5 | ZSTD_FLAG)

    with pytest.raises(PackDamaged, match="block 0: column batch_id"):
        data.column("batch_id", Chunks(0, int(pack.blocks["at"][0]), 256, pages))


def test_an_unreadable_page_is_reported(tmp_path, pack):
    raw = pack.path.read_bytes()
    broken = tmp_path / "broken.parquet"
    footer = len(raw) - 8 - int.from_bytes(raw[-8:-4], "little")
    broken.write_bytes(raw[:footer] + bytes(len(raw) - 8 - footer) + raw[-8:])
    data = DataFile(broken, pack.plan)
    pages = changed_page(pack, "batch_id", UNKNOWN)

    with pytest.raises(PackDamaged, match="not a readable Parquet file"):
        data.column("batch_id", Chunks(0, int(pack.blocks["at"][0]), 256, pages))


def test_a_file_of_another_writer_has_no_index(tmp_path, pack):
    plain = tmp_path / "1.parquet"
    pq.write_table(pq.read_table(pack.path).replace_schema_metadata({}), plain)
    with pytest.raises(PackDamaged, match="not a pack"):
        rebuild_index(plain, tmp_path / "1.idx")
    pq.write_table(pq.read_table(pack.path), plain)
    with pytest.raises(PackDamaged, match="page header"):
        rebuild_index(plain, tmp_path / "1.idx")
    with pytest.raises(PackDamaged, match="the file is missing"):
        sha256_of(tmp_path / "2.parquet")


USES = {
    "signature_sums": lambda pack: pack.candidate_blocks(Text("placed")),
    "templates": lambda pack: pack.count(Text("placed")),
    "template_counts": lambda pack: pack.count(Text("placed")),
    "variable_grams": lambda pack: pack.count(Text("placed")),
    "row_templates": lambda pack: pack.matches(0, Text("placed")),
    "parts": lambda pack: pack.parts,
    "marks": lambda pack: pack.marks,
    "blocks": lambda pack: pack,
    "pages": lambda pack: pack,
}


@pytest.mark.parametrize("section", sorted(USES))
def test_a_section_is_verified_on_first_access(tmp_path, section):
    rows = [make_tuple(n, message=f"order {n} placed") for n in range(300)]
    pack, _ = pack_of(tmp_path, rows, block_rows=128)
    USES[section](pack)
    assert set(pack.index.header["sections"]) == {*USES, "signature"}
    at, size, _ = pack.index.header["sections"][section]
    path = pack.index.path
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at + size // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(PackDamaged, match=f"section {section} "):
        USES[section](Pack(tmp_path, 7))


# Interpreted, numbers do not wrap.
@pytest.mark.parametrize("width", [*range(56), *((60, 63) if IS_COMPILED else ())])
@pytest.mark.parametrize("has_nulls", [True, False])
def test_numbers_of_every_width_are_picked(width, has_nulls):
    chance = random.Random(width)
    spec = ColumnSpec("n", Kind.INT64, is_optional=has_nulls)
    rows = 600
    steps = [chance.randrange(1 << width) - (1 << width) // 2 for _ in range(rows)]
    numbers = np.cumsum(np.array(steps, np.int64))
    valid = np.array([chance.random() < 0.7 for _ in range(rows)]) if has_nulls else None
    chunk = encode(spec, (numbers if valid is None else np.where(valid, numbers, 0), valid), rows)
    data = zstandard.ZstdDecompressor().decompress(chunk.data) if chunk.codec else chunk.data
    whole = decode(spec, DELTA, rows, b"", data).values() if chunk.encoding == DELTA else None
    for wanted in ([], [0], [599], [7, 150, 151, 299], list(range(rows))):
        if whole is not None:
            picked = pick(DELTA, has_nulls, False, (), data, rows, wanted)
            assert picked == [whole[number] for number in wanted]
    assert whole is not None or width < 3


def test_long_texts_are_picked():
    spec = ColumnSpec("t", Kind.TEXT)
    texts = [b"%d" % n * (n * 37 % 911) for n in range(300)]
    chunk = encode(spec, texts, 300)
    data = zstandard.ZstdDecompressor().decompress(chunk.data) if chunk.codec else chunk.data

    assert chunk.encoding == DELTA_LENGTH
    for wanted in ([5], [0, 299], list(range(300))):
        picked = pick(DELTA_LENGTH, False, False, (), data, 300, wanted)
        assert picked == [texts[n] for n in wanted]


@pytest.mark.parametrize("wanted", [[], [0], [255], [3, 4, 200], list(range(256))])
def test_some_rows_of_a_page_are_those_of_the_whole_page(pack, wanted):
    block = pack.block(1)
    wanted = [number for number in wanted if number < block.rows]

    kinds = set()
    for spec in pack.plan.columns:
        whole = block.get(spec.name)
        picked = block._data.picked(spec.name, block._chunks, wanted)
        if picked is not None:
            assert picked == [whole.values()[number] for number in wanted], spec.name
            kinds.add(spec.kind)
        assert whole.take(np.array(wanted, np.int64)).values() == [
            whole.values()[number] for number in wanted
        ]

    assert kinds >= set(Kind) - {Kind.DOUBLE, Kind.BOOLEAN}


def test_a_stripe_of_the_signature_is_verified_on_first_access(tmp_path):
    rows = [make_tuple(n, message=f"order {n} placed") for n in range(300)]
    pack, _ = pack_of(tmp_path, rows, block_rows=128)
    facts = pack.index.header["signature"]
    assert facts["bits"] > 4 * STRIPE
    at, size, _ = pack.index.header["sections"]["signature"]
    path = pack.index.path
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[at + size - 1] ^= 1
    path.write_bytes(data)
    signature = Pack(tmp_path, 7).index.signature

    assert (signature[0] == pack.index.signature[0]).all()
    whole = STRIPE * (facts["bits"] // STRIPE - 1)
    assert signature[np.arange(whole)].shape == (whole, facts["stride"])
    for numbers in (facts["bits"] - 1, np.array([0, facts["bits"] - 1])):
        with pytest.raises(PackDamaged, match="section signature "):
            signature[numbers]
    with pytest.raises(PackDamaged, match="section signature "):
        Pack(tmp_path, 7).index.check_all()
