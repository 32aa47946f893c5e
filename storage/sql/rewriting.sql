-- Statements of retention/packing/rewriting.py: new packs out of old ones.

-- name: next_segment
-- Uses: retention/packing/rewriting.py.
SELECT nextval('segment_numbers')::integer;

-- name: pack_of_segment
-- $1 segment   integer
-- Rows: state, class, data_hash, index_hash, leaf_dropped. Uses: retention/packing/rewriting.py.
SELECT state, class, data_hash, index_hash, leaf_dropped FROM segments WHERE segment = $1;

-- name: add_pack
-- Add the new segment to the catalogue, in state packed and without a leaf.
-- $1 segment, $2 class, $3 rows, $4 bytes, $5 min_created_at, $6 max_created_at, $7 odd_times,
-- $8 min_received_at, $9 max_received_at, $10 digest, $11 is_hold, $12 data bytes, $13 index bytes,
-- $14 data hash, $15 index hash
-- Uses: retention/packing/rewriting.py.
INSERT INTO segments (segment, class, state, rows, bytes, min_created_at, max_created_at, odd_times,
       min_received_at, max_received_at, opened_at, closed_at, packed_at, digest, is_hold,
       data_bytes, index_bytes, data_hash, index_hash, leaf_dropped)
VALUES ($1, $2, 'packed', $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), clock_timestamp(),
       clock_timestamp(), $10, $11, $12, $13, $14, $15, true);

-- name: replace_packs
-- Exclude the old packs from queries.
-- $1 segments  integer[]
-- $2 by        integer   NULL: no row remains
-- $3 state     text      retiring: the files stay for running readers; dropped: they go at once
-- Rows: the segments. Uses: retention/packing/rewriting.py.
UPDATE segments
   SET state = $3, replaced_by = coalesce($2, segment),
       dropped_at = CASE WHEN $3 = 'dropped' THEN clock_timestamp() END
 WHERE segment = ANY ($1) AND state = 'packed' AND leaf_dropped
RETURNING segment;

-- name: add_counts
-- Counts per minute and hour of a pack that has some rows of another one.
-- $1 segment   integer
-- $2 class     text
-- $3 size      double precision   mean COPY bytes of a row: rows are exact, bytes are not
-- Parallel arrays: $4 minutes since 1970, $5 levels, $6 kinds, $7 source modules, $8 rows
-- Uses: retention/packing/rewriting.py; spool 0 is unused.
WITH minutes AS (
    INSERT INTO log_counts (segment, minute, level, kind, source_module, class, spool_id, rows,
           bytes)
    SELECT $1, 'epoch'::timestamptz + minute * interval '1 minute', level::log_level,
           kind::"char", source_module, $2, 0, rows, round(rows * $3)
      FROM unnest($4::bigint[], $5::text[], $6::text[], $7::text[], $8::bigint[])
           AS c (minute, level, kind, source_module, rows)
    RETURNING minute, level, kind, source_module, rows, bytes
)
INSERT INTO log_counts_hourly (segment, hour, level, kind, source_module, class, spool_id, rows,
       bytes)
SELECT $1, date_bin('1 hour', minute, 'epoch'), level, kind, source_module, $2, 0, sum(rows),
       sum(bytes)
  FROM minutes GROUP BY 2, 3, 4, 5;

-- name: move_parts
-- Move all parts of some segments to another one; their hashes are unchanged.
-- $1 segments  integer[]
-- $2 to        integer
-- Uses: retention/packing/rewriting.py.
UPDATE ingest_parts SET segment = $2 WHERE segment = ANY ($1);

-- name: move_counts
-- $1 segments  integer[]
-- $2 to        integer
-- Uses: retention/packing/rewriting.py.
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
-- Uses: retention/packing/rewriting.py.
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
-- Uses: retention/packing/rewriting.py.
WITH minutes AS (DELETE FROM log_counts WHERE segment = $1)
DELETE FROM log_counts_hourly WHERE segment = $1;
