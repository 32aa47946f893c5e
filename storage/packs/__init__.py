"""Packs: a closed segment as one Parquet file and its index file (docs/reference/packs.md).

writer.PackWriter(folder, segment, class, streams, leaf=): feed(bytes) or add(tuples, nonces), then
    finish() -> PackFacts, whose `parts` are digests of the rows read back from the synced file.
pack.Pack(folder, segment): blocks (zone maps), candidate_blocks, matches, count, columns, rows,
    tuples, each_block, parts, marks. Filters: of storage.filtering, with resolved resources.
verify: check_quick, check_full, rebuild_index.   rewrite: copy_without (purge), merge.
store.PackStore.filters(class).without(column, id, {segment: data hash}) -> packs to skip.
errors: PackDamaged (path, block, row), NotPackable, UnsupportedCondition.
A leaf function takes (class, batch id, position, tuple, stored nonce or None) and returns 32 bytes.
"""
