-- Statements about one leaf of system_logs. LEAF is replaced by its name, which is built only from
-- the catalogue's integer (storage/segments/leaves.py); COLUMNS by those of columns.py.

-- name: index_live
-- The indexes of an open leaf (see opslog_make_leaf), in bulk for a leaf that was filled without them.
-- Uses: retention/packing/unpack.py.
CREATE INDEX IF NOT EXISTS LEAF_created ON LEAF (created_at);
CREATE INDEX IF NOT EXISTS LEAF_trace ON LEAF (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_actor ON LEAF (actor_id, created_at) WHERE actor_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_resource ON LEAF (resource_id, created_at)
    WHERE resource_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_correlation ON LEAF (correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_received ON LEAF USING brin (received_at);

-- name: copy_out
-- All rows of a leaf as COPY tuples, in physical order. Uses: retention/packing/pack.py.
SELECT COLUMNS FROM LEAF;

-- name: detach_leaf
-- Detach a leaf concurrently with readers and writers. Not inside a transaction; waits for running
-- transactions. If it is cancelled, finish_detaching must follow. Uses: storage/segments/dropping.py.
ALTER TABLE system_logs DETACH PARTITION LEAF CONCURRENTLY;

-- name: finish_detaching
-- Finish an interrupted detach_leaf. Uses: storage/segments/dropping.py.
ALTER TABLE system_logs DETACH PARTITION LEAF FINALIZE;

-- name: drop_leaf
-- Drop a detached leaf with its rows. Uses: storage/segments/dropping.py, in the transaction of the
-- ledger entry.
DROP TABLE LEAF;

-- name: drop_unread_leaf
-- Drop what an interrupted unpacking has left. Uses: retention/packing/unpack.py.
DROP TABLE IF EXISTS LEAF;

-- name: unplug_leaf
-- Detach a leaf within a transaction. Needs a brief exclusive lock on system_logs: only with a
-- lock_timeout of milliseconds. Uses: storage/segments/dropping.py.
ALTER TABLE system_logs DETACH PARTITION LEAF;

-- name: plug_leaf
-- Attach a leaf to system_logs. Its CHECK implies the partition constraint, so no row is read.
-- Uses: storage/segments/dropping.py, retention/packing/unpack.py. SEGMENT is its number.
ALTER TABLE system_logs ATTACH PARTITION LEAF FOR VALUES IN (SEGMENT);

-- name: count_matching
-- Uses: retention/holding/holds.py, retention/purging/purge.py. CONDITION is a compiled filter.
SELECT count(*) FROM LEAF WHERE CONDITION;

-- name: count_purge
-- Rows that match a purge, those of them that are held, and those to remove. Uses:
-- retention/purging/scope.py. MATCHING, ONHOLD and PURGEABLE are compiled conditions.
SELECT count(*) AS matching,
       count(*) FILTER (WHERE ONHOLD) AS held,
       count(*) FILTER (WHERE PURGEABLE) AS purgeable
  FROM LEAF WHERE MATCHING;
