-- Statements of storage/segments/rollover.py and storage/segments/catalogue.py. Segments are changed by
-- the functions of migrations/0002_segments.sql, so that no role needs the privilege itself.

-- name: enter_segments
-- Enter the gate of some classes for the rest of the transaction; their open segments stay open.
-- $1 classes   text[]
-- Rows: class_name, segment_number; classes without an open segment are omitted.
-- Uses: enter_segments, in the transaction of the rows.
SELECT class_name, segment_number FROM opslog_enter_segments($1);

-- name: open_segment
-- The open segment of a class, created if there is none.
-- $1 class     text
-- Uses: open_segment; in its own transaction, since others wait for its end.
SELECT opslog_open_segment($1);

-- name: prepare_segment
-- The ready segment of a class, created if there is none.
-- $1 class     text
-- Uses: SegmentKeeper, ahead of the next rollover. 6-60 ms when it creates one.
SELECT opslog_prepare_segment($1);

-- name: roll_segment
-- Close the open segment of a class and open the next one.
-- $1 class     text
-- $2 expected  integer   the segment to close; does nothing when another one is open
-- Rows: the number of the open segment afterwards.
-- Uses: SegmentKeeper. Waits at most 1 s for running writers.
SELECT opslog_roll_segment($1, $2);

-- name: settle_segments
-- Compute the totals of closed segments that have none yet.
-- Rows: their number.
-- Uses: SegmentKeeper. Reads ingest_parts of those segments, no log rows.
SELECT opslog_settle_segments();

-- name: open_segments
-- Fill level of each open segment, whether it is too old, whether its successor is ready.
-- $1 age       double precision   seconds after which a segment with rows is too old
-- Rows: class, segment, rows, bytes, is_too_old, has_successor, kept_rows (of the whole class).
-- Age counts from the opening or the first arrival, whichever is later: an empty segment does not
-- age, and one that receives the rows of an old spool is not rolled over at once.
-- Uses: SegmentKeeper, every few seconds. Reads one row per hour, module and level, and parts only
-- of segments that are old.
SELECT s.class,
       s.segment,
       coalesce(c.rows, 0)::bigint AS rows,
       coalesce(c.bytes, 0)::bigint AS bytes,
       coalesce(p.first_received_at < clock_timestamp() - $1 * interval '1 second', false)
           AS is_too_old,
       EXISTS (SELECT FROM segments AS r WHERE r.class = s.class AND r.state = 'ready')
           AS has_successor,
       coalesce(k.rows, 0)::bigint AS kept_rows
  FROM segments AS s
 CROSS JOIN LATERAL (SELECT sum(h.rows) AS rows, sum(h.bytes) AS bytes
                       FROM log_counts_hourly AS h
                      WHERE h.segment = s.segment) AS c
 CROSS JOIN LATERAL (SELECT sum(f.rows) AS rows
                       FROM segments AS f
                      WHERE f.class = s.class AND f.state IN ('closed', 'sealed', 'packed')) AS k
 CROSS JOIN LATERAL (SELECT min(i.received_at) AS first_received_at
                       FROM ingest_parts AS i
                      WHERE i.segment = s.segment
                        AND s.opened_at < clock_timestamp() - $1 * interval '1 second') AS p
 WHERE s.state = 'open'
 ORDER BY s.class;

-- name: keep_segments
-- Become the keeper of segments for the rest of the session.
-- $1 space     integer   storage/database/locks.py, KEEPER_SPACE
-- Rows: whether the lock was free.
-- Uses: SegmentKeeper.
SELECT pg_try_advisory_lock($1, 0);

-- name: catalogue
-- Every segment that queries may read, with an estimate for those that are being filled.
-- Rows: the columns of storage.segments.catalogue.Segment, by number.
-- Uses: Catalogue, at each change and every few seconds. Reads no log rows.
SELECT s.segment AS number,
       s.class AS class_name,
       s.state,
       s.rows,
       coalesce(s.rows, c.rows, 0)::bigint AS rows_estimate,
       coalesce(s.bytes, c.bytes, 0)::bigint AS bytes_estimate,
       s.min_created_at,
       s.max_created_at,
       s.odd_times,
       s.min_received_at,
       s.max_received_at,
       s.opened_at,
       s.closed_at,
       s.packed_at,
       s.leaf_dropped,
       s.data_bytes,
       s.index_bytes,
       s.data_hash,
       s.index_hash
  FROM segments AS s
 CROSS JOIN LATERAL (SELECT sum(h.rows) AS rows, sum(h.bytes) AS bytes
                       FROM log_counts_hourly AS h
                      WHERE h.segment = s.segment
                        AND s.rows IS NULL) AS c
 WHERE s.state NOT IN ('retiring', 'dropped')
 ORDER BY s.segment;
