-- Statements of storage/segments/rewriting.py: copying rows of closed segments into a new one.

-- name: next_segment
-- Uses: storage/segments/rewriting.py.
SELECT nextval('segment_numbers')::integer;

-- name: make_bare_leaf
-- $1 segment   integer
-- Uses: storage/segments/rewriting.py.
SELECT opslog_make_bare_leaf($1);

-- name: orphan_leaves
-- Leaves left by an interrupted rewrite: neither in the catalogue nor attached to system_logs.
-- Rows: segment. Uses: storage/segments/rewriting.py, under the lock of a rewrite.
SELECT l.segment
  FROM (SELECT oid, substr(relname, length('system_logs_s') + 1)::integer AS segment
          FROM pg_class
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
           AND relname ~ '^system_logs_s[0-9]{1,9}$') AS l
 WHERE NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = l.oid)
   AND NOT EXISTS (SELECT FROM segments AS s
                    WHERE s.segment = l.segment AND s.state <> 'dropped');

-- name: add_rewritten
-- Add the new segment to the catalogue, in state sealed.
-- $1 segment, $2 class, $3 rows, $4 bytes, $5 min_created_at, $6 max_created_at, $7 odd_times,
-- $8 min_received_at, $9 max_received_at, $10 digest, $11 is_hold, $12 table,
-- $13 is_finished boolean
-- Uses: storage/segments/rewriting.py.
INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at, odd_times,
       min_received_at, max_received_at, opened_at, closed_at, sealed_at, digest, is_hold,
       disk_bytes, finished_at)
VALUES ($1, $2, 'sealed', $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), clock_timestamp(),
       clock_timestamp(), $10, $11, pg_total_relation_size(to_regclass($12)),
       CASE WHEN $13 THEN clock_timestamp() END);

-- name: replace_segments
-- Exclude the old segments from queries.
-- $1 segments  integer[]
-- $2 by        integer   NULL: no row remains
-- Rows: the segments. Uses: storage/segments/rewriting.py.
UPDATE segments SET state = 'retiring', replaced_by = coalesce($2, segment)
 WHERE segment = ANY ($1) AND state IN ('closed', 'sealed')
RETURNING segment;

-- name: move_parts
-- Move all parts of some segments to another one; their hashes are unchanged.
-- $1 segments  integer[]
-- $2 to        integer
-- Uses: storage/segments/rewriting.py.
UPDATE ingest_parts SET segment = $2 WHERE segment = ANY ($1);

-- name: move_counts
-- $1 segments  integer[]
-- $2 to        integer
-- Uses: storage/segments/rewriting.py.
WITH old AS (
    DELETE FROM log_counts WHERE segment = ANY ($1)
    RETURNING minute, level, kind, source_module, class, spool_id, rows, bytes
), old_hours AS (
    DELETE FROM log_counts_hourly WHERE segment = ANY ($1)
    RETURNING hour, level, kind, source_module, class, spool_id, rows, bytes
), minutes AS (
    INSERT INTO log_counts (segment, minute, level, kind, source_module, class, spool_id, rows,
           bytes)
    SELECT $2, minute, level, kind, source_module, class, spool_id, sum(rows), sum(bytes)
      FROM old GROUP BY minute, level, kind, source_module, class, spool_id
)
INSERT INTO log_counts_hourly (segment, hour, level, kind, source_module, class, spool_id, rows,
       bytes)
SELECT $2, hour, level, kind, source_module, class, spool_id, sum(rows), sum(bytes)
  FROM old_hours GROUP BY hour, level, kind, source_module, class, spool_id;

-- name: replace_parts
-- Move the parts of a segment of which only some rows remain to another one.
-- $1 segment   integer
-- $2 to        integer
-- Parallel arrays of the remaining parts: $3 batch ids, $4 rows, $5 bytes, $6 digests, $7 marks
-- Uses: storage/segments/rewriting.py.
WITH old AS (
    DELETE FROM ingest_parts WHERE segment = $1
    RETURNING batch_id, class, min_created_at, max_created_at, odd_times, received_at
)
INSERT INTO ingest_parts (batch_id, segment, class, rows, bytes, digest, min_created_at,
       max_created_at, odd_times, received_at, marks)
SELECT o.batch_id, $2, o.class, n.rows, n.bytes, n.digest, o.min_created_at, o.max_created_at,
       least(o.odd_times, n.rows), o.received_at, n.marks
  FROM old AS o
  JOIN unnest($3::bigint[], $4::integer[], $5::integer[], $6::bytea[], $7::bytea[])
       AS n (batch_id, rows, bytes, digest, marks) USING (batch_id);

-- name: forget_counts
-- $1 segment   integer
-- Uses: storage/segments/rewriting.py.
WITH minutes AS (DELETE FROM log_counts WHERE segment = $1)
DELETE FROM log_counts_hourly WHERE segment = $1;
