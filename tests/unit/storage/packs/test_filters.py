"""The filters of a class: which packs cannot have an id; appended, compacted, checked, rebuilt."""

import multiprocessing
from hashlib import sha256

import numpy as np
import pytest

from storage.packs.errors import PackDamaged
from storage.packs.index import bloom
from storage.packs.index.bloom import BLOCK, HEAD, MAGIC, ClassFilters, add, id_hashes, path_of
from storage.packs.store import PackStore
from storage.packs.verify import check_filter, rebuild_index
from tests.unit.storage.packs.packing import make_tuple, pack_of


def digest(segment):
    return sha256(b"%d" % segment).digest()


def ids(segment, count=400):
    return [b"%d %d" % (segment, number) for number in range(count)]


def add_pack(folder, segment, values=None):
    """A record, and the file that makes it count."""
    (folder / f"{segment}.parquet").touch()
    values = ids(segment) if values is None else values
    hashes = np.array(id_hashes("trace_id", values), np.uint32)
    add(folder, segment, digest(segment), np.unique(hashes))


def all_packs(*segments):
    return {segment: digest(segment) for segment in segments}


def test_ids_of_a_pack_are_never_excluded_and_others_mostly(tmp_path):
    for segment in (1, 2, 3):
        add_pack(tmp_path, segment)
    filters = ClassFilters(tmp_path)
    known = all_packs(1, 2, 3)

    for segment in known:
        found = [filters.without("trace_id", value, known) for value in ids(segment)]
        assert all(segment not in absent for absent in found)
    absent = [filters.without("trace_id", b"none %d" % n, known) for n in range(1000)]
    assert sum(map(len, absent)) > 3000 * 0.96


def test_columns_are_kept_apart(tmp_path):
    add_pack(tmp_path, 1, [b"same"])
    filters = ClassFilters(tmp_path)

    assert filters.without("trace_id", b"same", all_packs(1)) == set()
    assert filters.without("correlation_id", b"same", all_packs(1)) == {1}


def test_a_pack_without_ids_is_excluded(tmp_path):
    add_pack(tmp_path, 1, [])
    assert ClassFilters(tmp_path).without("trace_id", b"x", all_packs(1)) == {1}


def test_packs_without_a_record_or_with_other_data_are_searched(tmp_path):
    filters = ClassFilters(tmp_path)
    assert filters.without("trace_id", b"x", all_packs(1)) == set()

    add_pack(tmp_path, 1)

    assert filters.without("trace_id", b"x", all_packs(1, 2)) == {1}
    assert filters.without("trace_id", b"x", {1: digest(2)}) == set()
    assert filters.without("trace_id", b"x", {1: None}) == set()


def test_a_later_record_of_a_segment_replaces_the_first(tmp_path):
    add_pack(tmp_path, 1, [b"old"])
    filters = ClassFilters(tmp_path)
    assert filters.without("trace_id", b"new", all_packs(1)) == {1}

    add_pack(tmp_path, 1, [b"new"])

    assert filters.without("trace_id", b"new", all_packs(1)) == set()
    assert filters.without("trace_id", b"old", all_packs(1)) == {1}


def test_adding_a_pack_leaves_the_others_where_they_are(tmp_path):
    add_pack(tmp_path, 1)
    add_pack(tmp_path, 2)
    before = path_of(tmp_path).read_bytes()
    inode = path_of(tmp_path).stat().st_ino

    add_pack(tmp_path, 3)

    assert path_of(tmp_path).read_bytes().startswith(before)
    assert path_of(tmp_path).stat().st_ino == inode


def test_records_of_removed_packs_go_when_they_are_half_of_the_file(tmp_path):
    for segment in range(6):
        add_pack(tmp_path, segment)
    filters = ClassFilters(tmp_path)
    assert filters.segments() == set(range(6))
    size = path_of(tmp_path).stat().st_size
    for segment in range(4):
        (tmp_path / f"{segment}.parquet").unlink()
    (tmp_path / "4.parquet").rename(tmp_path / "4.parquet.tmp")  # as if it were being written

    add_pack(tmp_path, 6)

    assert filters.segments() == {4, 5, 6}
    assert path_of(tmp_path).stat().st_size < size
    assert filters.without("trace_id", ids(5)[7], all_packs(4, 5, 6)) == {4, 6}


@pytest.mark.parametrize("lost", [1, BLOCK, BLOCK + HEAD.itemsize - 1])
def test_an_interrupted_append_costs_only_its_own_pack(tmp_path, lost):
    add_pack(tmp_path, 1)
    add_pack(tmp_path, 2, [b"x"])
    path = path_of(tmp_path)
    path.write_bytes(path.read_bytes()[:-lost])
    filters = ClassFilters(tmp_path)
    assert filters.segments() == {1}

    add_pack(tmp_path, 3)

    assert filters.segments() == {1, 3}
    assert filters.without("trace_id", b"none", all_packs(1, 2, 3)) == {1, 3}


@pytest.mark.parametrize(
    ("at", "lost"),
    [(0, {1, 2, 3}), (len(MAGIC) + 5, {1, 2, 3}), (len(MAGIC) + HEAD.itemsize + 3, {1})],
)
def test_damage_is_found_and_excludes_nothing(tmp_path, at, lost):
    for segment in (1, 2, 3):
        add_pack(tmp_path, segment)
    mapped = ClassFilters(tmp_path)
    assert mapped.segments() == {1, 2, 3}
    path = path_of(tmp_path)
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)
    filters = ClassFilters(tmp_path)

    absent = [filters.without("trace_id", b"none %d" % n, all_packs(1, 2, 3)) for n in range(40)]

    assert any(lost - found for found in absent)
    for segment in lost:
        with pytest.raises(PackDamaged, match=f"filter of segment {segment} is"):
            filters.record(segment, digest(segment))
        assert all(
            segment not in filters.without("trace_id", value, all_packs(1, 2, 3))
            for value in ids(segment)
        )
    add_pack(tmp_path, 4)
    assert 4 in filters.segments()


def _add_ten(folder, start):
    for segment in range(start, start + 10):
        add_pack(folder, segment, ids(segment, 20))


def test_packers_add_at_the_same_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    adding = [context.Process(target=_add_ten, args=(tmp_path, n)) for n in (0, 100, 200)]
    for process in adding:
        process.start()
    for process in adding:
        process.join(60)

    filters = ClassFilters(tmp_path)
    assert filters.segments() == {start + n for start in (0, 100, 200) for n in range(10)}
    for segment in filters.segments():
        filters.record(segment, digest(segment))


@pytest.fixture
def pack(tmp_path):
    rows = [
        make_tuple(n, trace_id=b"%016d" % (n // 3), correlation_id=f"c{n // 5}") for n in range(300)
    ]
    return pack_of(tmp_path, rows, block_rows=128)[0]


def test_a_pack_adds_its_ids(tmp_path, pack):
    store = PackStore(tmp_path.parent)
    filters = store.filters(tmp_path.name)
    known = {7: bytes.fromhex(pack.data_sha256)}

    assert not any(filters.without("trace_id", b"%016d" % n, known) for n in range(100))
    assert not any(filters.without("correlation_id", b"c%d" % n, known) for n in range(60))
    assert filters.without("correlation_id", b"d1", known) == {7}
    assert store.filters(tmp_path.name) is filters
    check_filter(pack, filters)


def test_a_filter_that_lacks_ids_is_found_and_rebuilt(tmp_path, pack):
    filters = ClassFilters(tmp_path)
    data_hash = bytes.fromhex(pack.data_sha256)
    add(tmp_path, 7, data_hash, np.array([1, 2], np.uint32))
    with pytest.raises(PackDamaged, match="has other ids"):
        check_filter(pack, filters)

    rebuild_index(pack.path, tmp_path / "7.idx.tmp")

    check_filter(pack, filters)


def test_an_unreadable_file_excludes_nothing(tmp_path):
    path_of(tmp_path).mkdir()
    assert ClassFilters(tmp_path).without("trace_id", b"x", all_packs(1)) == set()
    with pytest.raises(OSError, match="directory"):
        bloom.add(tmp_path, 1, digest(1), np.zeros(0, np.uint32))
