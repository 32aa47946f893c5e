-- Statements about packs: claiming and packing closed segments, and what is removed afterwards.

-- name: installation_id
-- Rows: the id of this installation, as text. Uses: retention/packing/places.py.
SELECT installation_id::text FROM installation;

-- name: begin_packs
-- Rows: the id, the first time only: the folder of the packs may then be made. Uses:
-- retention/packing/places.py, in a transaction that ends when it is made.
UPDATE installation SET packs_made_at = clock_timestamp()
 WHERE packs_made_at IS NULL RETURNING installation_id::text;

-- name: longest_waiting
-- How long the next segment to pack has waited. $1 after, $2 lease, as in claim_segment.
-- Rows: seconds; NULL: nothing waits. Uses: retention/packing/run.py.
SELECT max(abs(extract(epoch FROM clock_timestamp() - closed_at)))::float8
  FROM segments
 WHERE state IN ('closed', 'sealed') AND rows > 0 AND damage IS NULL
   AND (closed_at <= clock_timestamp() - $1 * interval '1 second' OR closed_at > clock_timestamp())
   AND (claimed_until IS NULL OR claimed_until < clock_timestamp()
        OR claimed_until > clock_timestamp() + $2 * interval '1 second'
           AND claimed_until <> 'infinity');

-- name: claim_segment
-- Take the closed segment that has waited longest; other packers skip it while the lease lasts.
-- Times that lie ahead are of a clock that was set back: such a segment does not wait for them.
-- $1 after     double precision   seconds since it was closed
-- $2 lease     double precision   seconds
-- Rows: segment; none if nothing waits. Uses: retention/packing/run.py.
UPDATE segments AS s SET claimed_until = clock_timestamp() + $2 * interval '1 second'
  FROM (SELECT segment FROM segments
         WHERE state IN ('closed', 'sealed') AND rows > 0 AND damage IS NULL
           AND (closed_at <= clock_timestamp() - $1 * interval '1 second'
                OR closed_at > clock_timestamp())
           AND (claimed_until IS NULL OR claimed_until < clock_timestamp()
                OR claimed_until > clock_timestamp() + $2 * interval '1 second'
                   AND claimed_until <> 'infinity')
         ORDER BY closed_at, segment LIMIT 1
           FOR UPDATE SKIP LOCKED) AS n
 WHERE s.segment = n.segment
RETURNING s.segment;

-- name: closed_segments
-- $1 again     boolean   also those that were found damaged, or were unpacked
-- Rows: segment. Uses: retention/packing/run.py.
SELECT segment FROM segments
 WHERE state IN ('closed', 'sealed') AND rows > 0
   AND ($1 OR (damage IS NULL AND claimed_until IS DISTINCT FROM 'infinity'))
 ORDER BY closed_at, segment;

-- name: end_claim
-- Keep packers away from a segment for some more seconds, or not any longer (0).
-- $1 segment   integer
-- $2 wait      double precision   seconds
-- Uses: retention/packing/run.py.
UPDATE segments SET claimed_until = clock_timestamp() + $2 * interval '1 second'
 WHERE segment = $1 AND state IN ('closed', 'sealed');

-- name: segment_to_pack
-- $1 segment   integer
-- Rows: class, state, rows, bytes, damage. Uses: retention/packing/pack.py.
SELECT class, state, rows, bytes, damage FROM segments WHERE segment = $1;

-- name: received_parts
-- The expected contents of a segment, by the hashes taken before its rows were stored.
-- $1 segment   integer
-- Rows: batch_id, rows, digest. Uses: retention/packing/pack.py.
SELECT batch_id, rows, digest FROM ingest_parts WHERE segment = $1 ORDER BY batch_id;

-- name: streams_of_pack
-- $1 ids       bigint[]
-- Rows: stream_id, resource, scope, their schema URLs, as text. Uses: retention/packing/streams.py.
SELECT stream_id, resource::text, scope::text, resource_schema_url, scope_schema_url
  FROM log_streams WHERE stream_id = ANY ($1);

-- name: mark_packed
-- $1 segment   integer
-- $2 digest    bytea     root over the digests of its parts
-- $3 data bytes bigint, $4 index bytes bigint, $5 data hash bytea, $6 index hash bytea
-- $7 took      integer   milliseconds
-- Rows: the segment, if it was closed. Uses: retention/packing/pack.py, in the transaction of the
-- ledger's entry.
UPDATE segments
   SET state = 'packed', packed_at = clock_timestamp(), digest = $2, data_bytes = $3,
       index_bytes = $4, data_hash = $5, index_hash = $6, pack_ms = $7, damage = NULL,
       claimed_until = NULL, leaf_dropped = false, parts_dropped = false
 WHERE segment = $1 AND state IN ('closed', 'sealed')
RETURNING segment;

-- name: mark_damaged
-- $1 segment   integer
-- $2 damage    text
-- Uses: retention/packing/pack.py, in the transaction of the ledger's entry.
UPDATE segments SET damage = $2, claimed_until = NULL
 WHERE segment = $1 AND state IN ('closed', 'sealed');

-- name: leaves_to_drop
-- Packed segments whose leaf still exists. Rows: segment. Uses: retention/packing/leaves.py.
SELECT segment FROM segments
 WHERE packed_at IS NOT NULL AND NOT leaf_dropped AND state = 'packed'
 ORDER BY packed_at, segment;

-- name: leaf_to_drop
-- $1 segment   integer
-- Rows: the segment, if it is packed and its leaf exists. Uses: retention/packing/leaves.py.
SELECT segment FROM segments
 WHERE segment = $1 AND packed_at IS NOT NULL AND NOT leaf_dropped AND state = 'packed';

-- name: abandoned_leaves
-- Tables of leaves that no segment has: an unpacking was interrupted. Rows: segment.
-- Uses: retention/packing/leaves.py.
SELECT s.segment
  FROM pg_class AS c
  JOIN segments AS s ON c.relname = 'system_logs_s' || s.segment
 WHERE c.relkind = 'r' AND c.relname LIKE 'system\_logs\_s%'
   AND c.relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'system_logs'::regclass)
   AND (s.state = 'dropped' OR s.packed_at IS NOT NULL AND s.leaf_dropped)
   AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = c.oid);

-- name: mark_leaf_dropped
-- $1 segments  integer[]
-- Uses: retention/packing/leaves.py, in the transaction of the DROP.
UPDATE segments SET leaf_dropped = true WHERE segment = ANY ($1);

-- name: forget_packed_parts
-- Delete the parts of segments that were packed long enough ago: live tails and retries read them
-- until then; the index of the pack has them.
-- $1 after     double precision   seconds since it was packed
-- Rows: segment. Uses: retention/packing/leaves.py.
WITH old AS (
    UPDATE segments SET parts_dropped = true
     WHERE state = 'packed' AND NOT parts_dropped
       AND packed_at < clock_timestamp() - $1 * interval '1 second'
    RETURNING segment
), gone AS (
    DELETE FROM ingest_parts AS p USING old WHERE p.segment = old.segment
)
SELECT segment FROM old;

-- name: pack_backlog
-- Closed segments that wait to be packed, the recent speed of packing, and what is left to do after it.
-- Rows: segments, rows, lag_s (since the oldest of them was closed), ms_per_row (NULL: nothing was
-- packed yet), leaves (of packed segments, not dropped yet), damaged.
-- Uses: retention/reporting/status.py.
SELECT count(*) FILTER (WHERE s.waits) AS segments,
       coalesce(sum(s.rows) FILTER (WHERE s.waits), 0)::bigint AS rows,
       coalesce(extract(epoch FROM clock_timestamp() - min(s.closed_at) FILTER (WHERE s.waits)),
                0)::float8 AS lag_s,
       (SELECT sum(l.pack_ms)::float8 / nullif(sum(l.rows), 0)
          FROM (SELECT pack_ms, rows FROM segments WHERE pack_ms IS NOT NULL AND rows > 1000
                 ORDER BY packed_at DESC LIMIT 10) AS l) AS ms_per_row,
       count(*) FILTER (WHERE s.state = 'packed' AND NOT s.leaf_dropped) AS leaves,
       count(*) FILTER (WHERE s.damage IS NOT NULL) AS damaged
  FROM (SELECT *, state IN ('closed', 'sealed') AND coalesce(rows, 1) > 0
                  AND claimed_until IS DISTINCT FROM 'infinity' AND damage IS NULL AS waits
          FROM segments WHERE state IN ('closed', 'sealed', 'packed')) AS s;

-- name: files_to_drop
-- Packs that were removed and whose files may still exist. Rows: segment, class.
-- Uses: retention/packing/files.py.
SELECT segment, class FROM segments
 WHERE state = 'dropped' AND packed_at IS NOT NULL AND NOT files_dropped
 ORDER BY segment;

-- name: mark_files_dropped
-- $1 segments  integer[]
-- Uses: retention/packing/files.py, when they are gone.
UPDATE segments SET files_dropped = true WHERE segment = ANY ($1);

-- name: settled_segments
-- Of these numbers, those whose files nobody is going to write: packs, and what was unpacked.
-- $1 segments  integer[]
-- Rows: segment, is_packed. Uses: retention/packing/files.py, again under the segment's lock.
SELECT segment, state = 'packed' AS is_packed FROM segments
 WHERE segment = ANY ($1)
   AND (state = 'packed' OR state = 'closed' AND claimed_until = 'infinity');

-- name: known_segments
-- Of these numbers, those of the catalogue, and those that are not given out yet.
-- $1 segments  integer[]
-- Rows: segment. Uses: retention/packing/files.py, under the lock of a rewrite.
SELECT n.segment FROM unnest($1::integer[]) AS n (segment)
 WHERE EXISTS (SELECT FROM segments AS s
                WHERE s.segment = n.segment
                  AND (s.state <> 'dropped' OR s.packed_at IS NOT NULL AND NOT s.files_dropped))
    OR n.segment > (SELECT last_value FROM segment_numbers);

-- name: packs_made
-- Rows: installation_id (text), is_made: whether the folder of the packs was made once.
-- Uses: retention/packing/places.py.
SELECT installation_id::text AS installation_id, packs_made_at IS NOT NULL AS is_made
  FROM installation;

-- name: packs
-- All packs. Rows: the columns of retention.packing.checking.PackState, by segment.
-- Uses: retention/packing/checking.py.
SELECT segment, class AS class_name, rows, data_bytes, index_bytes, data_hash, index_hash,
       packed_at, is_hold, leaf_dropped
  FROM segments WHERE state = 'packed' ORDER BY segment;

-- name: pack_entries
-- The hashes of each pack by its last entry in the ledger. Rows: segment, data, index (hex).
-- Uses: retention/packing/checking.py.
SELECT DISTINCT ON (segment) segment, body::jsonb ->> 'data' AS data, body::jsonb ->> 'index' AS index
  FROM (SELECT (body::jsonb ->> 'segment')::integer AS segment, body, 0 AS waits, seq AS place
          FROM ledger WHERE kind = 'pack' AND kind <> 'data'
         UNION ALL
        SELECT (body::jsonb ->> 'segment')::integer, body, 1, in_id
          FROM ledger_in WHERE kind = 'pack') AS e
 ORDER BY segment, waits DESC, place DESC;

-- name: pack_entry
-- $1 segment   integer
-- Rows: body of the last entry of its pack. Uses: retention/packing/checking.py.
SELECT body
  FROM (SELECT body, 0 AS waits, seq AS place FROM ledger
         WHERE kind = 'pack' AND kind <> 'data'
         UNION ALL
        SELECT body, 1, in_id FROM ledger_in WHERE kind = 'pack') AS e
 WHERE (body::jsonb ->> 'segment')::integer = $1
 ORDER BY waits DESC, place DESC LIMIT 1;

-- name: replace_index
-- $1 segment   integer
-- $2 bytes     bigint
-- $3 hash      bytea
-- Uses: retention/packing/checking.py, in the transaction of the ledger's entry.
UPDATE segments SET index_bytes = $2, index_hash = $3 WHERE segment = $1 AND state = 'packed';

-- name: make_bare_leaf
-- $1 segment   integer
-- Uses: retention/packing/unpack.py.
SELECT opslog_make_bare_leaf($1);

-- name: restore_parts
-- The parts of a pack, as they were before it was packed.
-- $1 segment integer, $2 class text, then parallel arrays: $3 batch ids, $4 rows, $5 bytes,
-- $6 digests, $7 least and $8 greatest created_at (microseconds, 0: none), $9 odd times,
-- $10 received, $11 marks
-- Uses: retention/packing/unpack.py.
INSERT INTO ingest_parts (batch_id, segment, class, rows, bytes, digest, min_created_at,
       max_created_at, odd_times, received_at, marks)
SELECT batch_id, $1, $2, rows, bytes, digest,
       'epoch'::timestamptz + nullif(min_us, 0) * interval '1 microsecond',
       'epoch'::timestamptz + nullif(max_us, 0) * interval '1 microsecond',
       odd_times, 'epoch'::timestamptz + received_us * interval '1 microsecond', marks
  FROM unnest($3::bigint[], $4::integer[], $5::integer[], $6::bytea[], $7::bigint[], $8::bigint[],
              $9::integer[], $10::bigint[], $11::bytea[])
       AS p (batch_id, rows, bytes, digest, min_us, max_us, odd_times, received_us, marks)
ON CONFLICT (segment, batch_id) DO NOTHING;

-- name: mark_unpacked
-- $1 segment   integer
-- Uses: retention/packing/unpack.py. No packer claims it any more.
UPDATE segments
   SET state = 'closed', claimed_until = 'infinity', packed_at = NULL, data_bytes = NULL,
       index_bytes = NULL, data_hash = NULL, index_hash = NULL, digest = NULL, pack_ms = NULL,
       leaf_dropped = false, parts_dropped = false
 WHERE segment = $1 AND state = 'packed';
