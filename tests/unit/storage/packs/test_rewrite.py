"""Purging, merging, stored nonces, templates, and the memory of an open pack."""

import gc
import tracemalloc

import pytest

from storage.filtering.filters import Text
from storage.packs.pack import Pack
from storage.packs.rewrite import copy_without, merge
from storage.packs.verify import check_full
from storage.packs.writer import PackWriter
from tests.unit.storage.packs.packing import (
    STREAMS,
    leaf_of_both,
    make_tuple,
    pack_of,
    secret_nonce,
    shop_rows,
    tuples_of,
)


def writer_of(folder, segment):
    return PackWriter(
        folder, segment, "info", lambda ids: dict.fromkeys(ids, STREAMS), leaf=leaf_of_both
    )


def test_packs_are_merged(tmp_path):
    rows = shop_rows(300)
    packs = [
        pack_of(tmp_path, rows[at::3], segment=at + 1, leaf=leaf_of_both)[0] for at in range(3)
    ]
    writer = writer_of(tmp_path, 9)
    merge(packs, writer)
    writer.finish()

    assert tuples_of(Pack(tmp_path, 9)) == rows


def test_rows_of_a_purged_batch_keep_their_leaves_by_stored_nonces(tmp_path):
    rows = [make_tuple(n, batch_id=5, nonce=None) for n in range(10)]
    rows += [make_tuple(n, batch_id=6) for n in range(10, 20)]
    pack, before = pack_of(tmp_path, rows, leaf=leaf_of_both)
    writer = writer_of(tmp_path, 8)

    gone = copy_without(
        pack,
        writer,
        lambda block: [0, 3],
        lambda row: secret_nonce("info", row.batch_id, row.position),
    )
    writer.finish()

    def without_secrets(class_name, batch_id, position, row, nonce):
        assert nonce is not None or batch_id == 6
        return leaf_of_both(class_name, batch_id, position, row, nonce)

    purged = Pack(tmp_path, 8)
    assert gone == 2
    assert tuples_of(purged) == rows[1:3] + rows[4:]
    assert check_full(purged, without_secrets).is_intact
    marks = pack.marks.tolist()
    assert purged.marks.tolist() == marks[1:3] + marks[4:]
    assert before.parts[1][2] == purged.parts["digest"][1].tobytes()
    # Stored nonces are kept by another rewrite.
    again = writer_of(tmp_path, 10)
    copy_without(purged, again, lambda block: [0])
    again.finish()
    assert check_full(Pack(tmp_path, 10), without_secrets).is_intact


def test_phrases_of_fixed_text_are_counted_without_reading_rows(tmp_path, monkeypatch):
    rows = [make_tuple(n, message=f"order {n} placed by u-{n}") for n in range(600)]
    rows += [make_tuple(n, message="nothing to do") for n in range(600, 900)]
    pack, _ = pack_of(tmp_path, rows)
    assert pack.templates is not None
    monkeypatch.setattr(Pack, "matches", lambda *_: pytest.fail("a row was read"))

    assert pack.count(Text("placed by")) == 600
    assert pack.count(Text("Nothing TO", ignores_case=True)) == 300
    assert pack.count(Text("")) == 900
    assert pack.count(Text("shipped")) == 0


def test_an_open_pack_takes_little_memory(tmp_path):
    pack_of(tmp_path, shop_rows(3000), leaf=leaf_of_both, block_rows=128)
    Pack(tmp_path, 7).candidate_blocks(Text("warm"))
    gc.collect()
    tracemalloc.start()
    pack = Pack(tmp_path, 7)
    pack.candidate_blocks(Text("evicted"))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert size < 100_000


def test_columns_and_facts(tmp_path):
    rows = shop_rows(300)
    pack, facts = pack_of(tmp_path, rows, leaf=leaf_of_both)

    columns = pack.columns(0, ["id", "metadata_rest", "level", "position"])

    assert len(columns["id"]) == facts.rows == pack.rows_total == 300
    assert columns["position"] == list(range(300))
    assert pack.data_sha256 == facts.data_sha256
    assert facts.min_created_us <= facts.max_created_us
    assert facts.odd_times == 0
