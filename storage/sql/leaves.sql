-- Statements about one leaf of system_logs. LEAF is replaced by its name, which is built only from
-- the catalogue's integer (storage/segments/leaves.py); COLUMNS by those of columns.py.

-- name: index_trigrams
-- Substring search in the message. OPCLASS is gin_trgm_ops, qualified with its schema.
-- Two thirds of the time of sealing, a fifth of the bytes. Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_trigrams ON LEAF USING gin (message OPCLASS);

-- name: index_metadata
-- Attributes by name and value. Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_metadata ON LEAF USING gin (metadata jsonb_path_ops);

-- name: index_module
-- The newest records of a source module. Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_module ON LEAF (source_module, created_at);

-- name: index_action
-- The newest records of an action. Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_action ON LEAF (action, created_at);

-- name: index_stream
-- The newest records of a resource. Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_stream ON LEAF (stream_id, created_at);

-- name: index_id
-- One record. Not unique: the same record in two requests is stored twice.
-- Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_id ON LEAF (id);

-- name: index_live
-- The indexes of an open leaf (see opslog_make_leaf), in bulk for a leaf that was filled without them.
-- Uses: storage/segments/leaves.py.
CREATE INDEX IF NOT EXISTS LEAF_created ON LEAF (created_at);
CREATE INDEX IF NOT EXISTS LEAF_trace ON LEAF (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_actor ON LEAF (actor_id, created_at) WHERE actor_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_resource ON LEAF (resource_id, created_at)
    WHERE resource_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_correlation ON LEAF (correlation_id)
    WHERE correlation_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS LEAF_received ON LEAF USING brin (received_at);

-- name: freeze_leaf
-- Freeze every row, then analyse. Not inside a transaction. Without the truncation at the end, whose
-- lock would block readers. Statistics of columns that no query compares would take a third of the
-- time; those of metadata are harmful: when a sampled document happens to match, the planner expects
-- hundreds more and scans created_at for them.
-- Uses: storage/segments/leaves.py.
VACUUM (FREEZE, ANALYZE, TRUNCATE false, PARALLEL 0) LEAF (
    created_at, received_at, stream_id, duration_ns, level, severity_number, kind, id, trace_id,
    span_id, parent_span_id, ip_address, source_module, action, resource_type, resource_id,
    actor_id, correlation_id, message);

-- name: leaf_facts
-- Statistics of its rows. Rows: rows, first and last created_at, levels. Reads the whole leaf.
-- Uses: storage/segments/leaves.py.
-- Grouped by level first: DISTINCT inside an aggregate would sort all rows.
SELECT coalesce(sum(l.rows), 0)::bigint AS rows, min(l.first_at) AS first_at,
       max(l.last_at) AS last_at, array_agg(l.level::text ORDER BY l.level) AS levels
  FROM (SELECT level, count(*) AS rows, min(created_at) AS first_at, max(created_at) AS last_at
          FROM LEAF GROUP BY level) AS l;

-- name: add_check
-- Enables pruning by time and level for manual SQL. FIRST, LAST and LEVELS are quoted by the caller.
-- NOT VALID: reads no row, but needs a brief exclusive lock on the leaf.
-- Uses: storage/segments/leaves.py.
ALTER TABLE LEAF ADD CONSTRAINT LEAF_range
    CHECK (created_at >= FIRST AND created_at <= LAST AND level IN (LEVELS)) NOT VALID;

-- name: validate_check
-- Required for the planner to use it. Reads the leaf without blocking readers. Uses: storage/segments/leaves.py.
ALTER TABLE LEAF VALIDATE CONSTRAINT LEAF_range;

-- name: copy_out
-- All rows of a leaf as COPY tuples, in physical order. Uses: storage/segments/read_back.py.
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

-- name: unplug_leaf
-- Detach a leaf within a transaction. Needs a brief exclusive lock on system_logs: only with a
-- lock_timeout of milliseconds. Uses: storage/segments/rewriting.py, storage/segments/dropping.py.
ALTER TABLE system_logs DETACH PARTITION LEAF;

-- name: plug_leaf
-- Attach a leaf to system_logs. Its CHECK implies the partition constraint, so no row is read.
-- Uses: storage/segments/rewriting.py. SEGMENT is its number.
ALTER TABLE system_logs ATTACH PARTITION LEAF FOR VALUES IN (SEGMENT);

-- name: fill_leaf
-- Copy the rows of another leaf, SOURCE, that match CONDITION, in order of arrival.
-- Uses: storage/segments/rewriting.py.
INSERT INTO LEAF (COLUMNS) SELECT COLUMNS FROM SOURCE WHERE CONDITION
 ORDER BY batch_id, position;

-- name: rewritten_facts
-- The catalogue's totals of a leaf, as the writers would have summed them.
-- Rows: rows, min_created_at, max_created_at, odd_times, min_received_at, max_received_at.
-- Uses: storage/segments/rewriting.py. The plausible range is that of the mapping.
SELECT count(*) AS rows,
       min(created_at) FILTER (WHERE is_plausible) AS min_created_at,
       max(created_at) FILTER (WHERE is_plausible) AS max_created_at,
       count(*) FILTER (WHERE NOT is_plausible) AS odd_times,
       min(received_at) AS min_received_at,
       max(received_at) AS max_received_at
  FROM (SELECT created_at, received_at,
               created_at BETWEEN received_at - interval '400 days'
                              AND received_at + interval '1 day' AS is_plausible
          FROM LEAF) AS r;

-- name: recount_leaf
-- Counts per minute and hour of a leaf that has some rows of another one.
-- $1 class     text
-- $2 size      double precision   mean COPY bytes of a row: rows are exact, bytes are not
-- Uses: storage/segments/rewriting.py. SEGMENT is its number; spool 0 is unused.
WITH minutes AS (
    INSERT INTO log_counts (segment, minute, level, kind, source_module, class, spool_id, rows,
           bytes)
    SELECT SEGMENT, date_bin('1 minute', created_at, 'epoch'), level, kind, source_module, $1, 0,
           count(*), round(count(*) * $2)
      FROM LEAF GROUP BY 2, 3, 4, 5
    RETURNING minute, level, kind, source_module, rows, bytes
)
INSERT INTO log_counts_hourly (segment, hour, level, kind, source_module, class, spool_id, rows,
       bytes)
SELECT SEGMENT, date_bin('1 hour', minute, 'epoch'), level, kind, source_module, $1, 0, sum(rows),
       sum(bytes)
  FROM minutes GROUP BY 2, 3, 4, 5;

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
