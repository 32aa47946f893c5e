-- name: register_spool
-- The number of a spool, assigned at its first connection and never changed.
-- $1 identity   uuid   generated with the spool's folder
-- $2 host       text   informational
-- Rows: spool_id. Uses: storage/writing/writer.py.
WITH created AS (
    INSERT INTO spools (identity, host) VALUES ($1, $2)
    ON CONFLICT (identity) DO NOTHING RETURNING spool_id
)
SELECT spool_id FROM created UNION ALL SELECT spool_id FROM spools WHERE identity = $1 LIMIT 1;

-- name: stored_batches
-- Those of these batches that are already stored: frames replayed after a crash.
-- $1 batch_ids  bigint[]
-- Rows: batch_id, spool_id. Uses: storage/writing/claims.py.
SELECT batch_id, spool_id FROM ingest_batches WHERE batch_id = ANY ($1);

-- name: claim_requests
-- Claim request hashes for this transaction; a hash seen within the window is not claimed.
-- $1 hashes     bytea[]    distinct
-- $2 batch_ids  bigint[]
-- $3 window_s   integer    how long a request is remembered
-- Rows: batch_id of those that are new. Waits for another writer's claim of the same hash.
-- The window starts at the claim, by the database's clock: receivers' clocks may jump, and retries of
-- a request that was delayed in a spool are delayed as well.
-- Sorted, so that two writers never deadlock. Uses: storage/writing/claims.py.
INSERT INTO ingest_requests AS known (request_hash, batch_id, received_at)
SELECT hash, batch_id, clock_timestamp()
  FROM unnest($1::bytea[], $2::bigint[]) AS fresh (hash, batch_id)
 ORDER BY hash
ON CONFLICT (request_hash) DO UPDATE
   SET batch_id = excluded.batch_id, received_at = excluded.received_at
 WHERE known.received_at < excluded.received_at - $3 * interval '1 second'
RETURNING batch_id;

-- name: claimed_by
-- The batches that hold the rows of requests seen before.
-- $1 hashes  bytea[]
-- Rows: request_hash, batch_id. Uses: storage/writing/claims.py.
SELECT request_hash, batch_id FROM ingest_requests WHERE request_hash = ANY ($1);

-- name: forget_requests
-- Delete request hashes older than the window, a thousand at a time.
-- $1 window_s  integer
-- Uses: storage/writing/writer.py, once a minute.
DELETE FROM ingest_requests WHERE request_hash IN (
    SELECT request_hash FROM ingest_requests
     WHERE received_at < now() - $1 * interval '1 second'
     ORDER BY received_at LIMIT 1000 FOR UPDATE SKIP LOCKED);

-- name: add_streams
-- Add streams that this writer has not cached. Sorted, so that two writers never deadlock.
-- $1 ids  bigint[], $2 digests bytea[], $3 resources text[], $4 scopes text[],
-- $5 resource schema URLs text[], $6 scope schema URLs text[]
-- Uses: storage/writing/writer.py.
INSERT INTO log_streams
       (stream_id, digest, resource, scope, resource_schema_url, scope_schema_url)
SELECT id, digest, resource::jsonb, scope::jsonb, resource_schema_url, scope_schema_url
  FROM unnest($1::bigint[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[])
       AS s (id, digest, resource, scope, resource_schema_url, scope_schema_url)
 ORDER BY id
ON CONFLICT (stream_id) DO NOTHING;

-- name: account_batches
-- The batches of this transaction, stored or detected as duplicates.
-- $1 spool_id integer, then parallel arrays: $2 batch ids, $3 received (microseconds), $4 keys,
-- $5 encoding versions, $6 signals, $7 request hashes, $8 duplicate of (or NULL), $9 received,
-- $10 derived, $11 stored, $12 duplicate, $13 dead, $14 rejected (JSON), $15 secrets (or NULL)
-- Always: received + derived = stored + duplicate + dead + sum of rejected.
-- Uses: storage/writing/accounts.py.
WITH secrets AS (
    INSERT INTO batch_secrets (batch_id, secret)
    SELECT batch_id, secret FROM unnest($2::bigint[], $15::bytea[]) AS s (batch_id, secret)
     WHERE secret IS NOT NULL
)
INSERT INTO ingest_batches (spool_id, batch_id, received_at, ingest_key_id, encoding_version,
       signal, request_hash, duplicate_of, received, derived, stored, duplicate, dead, rejected)
SELECT $1, batch_id, 'epoch'::timestamptz + received_us * interval '1 microsecond', key_id, version,
       signal, hash, duplicate_of, received, derived, stored, duplicate, dead, rejected::jsonb
  FROM unnest($2::bigint[], $3::bigint[], $4::integer[], $5::smallint[], $6::text[], $7::bytea[],
              $8::bigint[], $9::integer[], $10::integer[], $11::integer[], $12::integer[],
              $13::integer[], $14::text[])
       AS b (batch_id, received_us, key_id, version, signal, hash, duplicate_of, received, derived,
             stored, duplicate, dead, rejected);

-- name: account_parts
-- The rows of each batch in each segment, with their hash.
-- Parallel arrays: $1 batch ids, $2 segments, $3 classes, $4 rows, $5 bytes, $6 digests,
-- $7 least and $8 greatest created_at (microseconds, 0: none), $9 odd times, $10 received,
-- $11 marks
-- Uses: storage/writing/accounts.py.
INSERT INTO ingest_parts (batch_id, segment, class, rows, bytes, digest, min_created_at,
       max_created_at, odd_times, received_at, marks)
SELECT batch_id, segment, class, rows, bytes, digest,
       'epoch'::timestamptz + nullif(min_us, 0) * interval '1 microsecond',
       'epoch'::timestamptz + nullif(max_us, 0) * interval '1 microsecond',
       odd_times, 'epoch'::timestamptz + received_us * interval '1 microsecond', marks
  FROM unnest($1::bigint[], $2::integer[], $3::text[], $4::integer[], $5::integer[], $6::bytea[],
              $7::bigint[], $8::bigint[], $9::integer[], $10::bigint[], $11::bytea[])
       AS p (batch_id, segment, class, rows, bytes, digest, min_us, max_us, odd_times, received_us,
             marks);

-- name: account_minutes
-- Add to the counters per minute of arrival, ingest key and source module.
-- $1 spool_id integer, then parallel arrays, one entry per key, sorted: $2 minutes since 1970,
-- $3 keys, $4 source modules, $5 reasons, $6 received, $7 derived, $8 stored, $9 duplicate,
-- $10 dead, $11 rejected
-- Uses: storage/writing/accounts.py.
INSERT INTO ingest_minutes AS known (minute, ingest_key_id, source_module, reason, spool_id,
       received, derived, stored, duplicate, dead, rejected)
SELECT 'epoch'::timestamptz + minute * interval '1 minute', key_id, source_module, reason, $1,
       received, derived, stored, duplicate, dead, rejected
  FROM unnest($2::bigint[], $3::integer[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
              $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
       AS m (minute, key_id, source_module, reason, received, derived, stored, duplicate, dead,
             rejected)
ON CONFLICT (minute, ingest_key_id, source_module, reason, spool_id) DO UPDATE
   SET received = known.received + excluded.received,
       derived = known.derived + excluded.derived,
       stored = known.stored + excluded.stored,
       duplicate = known.duplicate + excluded.duplicate,
       dead = known.dead + excluded.dead,
       rejected = known.rejected + excluded.rejected;

-- name: account_counts
-- Add to the counts per minute and per hour, and notify listeners of the stored batches.
-- $1 spool_id integer, then parallel arrays, one entry per key: $2 segments, $3 minutes since 1970,
-- $4 levels, $5 kinds, $6 source modules, $7 classes, $8 rows, $9 bytes; $10 notification (text)
-- Each spool has its own rows, so writers never wait for each other here.
-- Uses: storage/writing/accounts.py.
WITH fresh AS (
    SELECT segment, 'epoch'::timestamptz + minute * interval '1 minute' AS minute,
           level::log_level, kind::"char", source_module, class, rows, bytes
      FROM unnest($2::integer[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                  $8::bigint[], $9::bigint[])
           AS c (segment, minute, level, kind, source_module, class, rows, bytes)
), minutes AS (
    INSERT INTO log_counts AS known (segment, minute, level, kind, source_module, class, spool_id,
           rows, bytes)
    SELECT segment, minute, level, kind, source_module, class, $1, rows, bytes FROM fresh
    ON CONFLICT (segment, minute, level, kind, source_module, spool_id) DO UPDATE
       SET rows = known.rows + excluded.rows, bytes = known.bytes + excluded.bytes
), hours AS (
    INSERT INTO log_counts_hourly AS known (segment, hour, level, kind, source_module, class,
           spool_id, rows, bytes)
    SELECT segment, date_bin('1 hour', minute, 'epoch'), level, kind, source_module, class, $1,
           sum(rows), sum(bytes)
      FROM fresh GROUP BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (segment, hour, level, kind, source_module, spool_id) DO UPDATE
       SET rows = known.rows + excluded.rows, bytes = known.bytes + excluded.bytes
)
SELECT pg_notify('opslog_batches', $10);

-- name: add_dead_letter
-- A row that PostgreSQL rejected, as encoded, with the reason.
-- $1 batch_id bigint, $2 position integer, $3 class text, $4 encoding smallint, $5 row bytea,
-- $6 leaf bytea, $7 sqlstate text, $8 reason text, $9 received bigint (microseconds)
-- Uses: storage/writing/dead_letters.py.
INSERT INTO dead_letters (batch_id, position, class, encoding_version, row_bytes, leaf, sqlstate,
       reason, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'epoch'::timestamptz + $9 * interval '1 microsecond');

-- name: dead_letters
-- $1 state, $2 after which number, $3 limit. Rows: all columns except the row's. Oldest first.
-- Uses: storage/writing/replaying.py.
SELECT dead_letter_id, batch_id, position, class, sqlstate, reason, received_at, made_at, state, note
  FROM dead_letters WHERE state = $1 AND dead_letter_id > $2 ORDER BY dead_letter_id LIMIT $3;

-- name: dead_letter
-- $1 number. Rows: all of one. Uses: storage/writing/replaying.py.
SELECT dead_letter_id, batch_id, position, class, encoding_version, row_bytes, leaf, sqlstate, reason,
       received_at, made_at, state, note
  FROM dead_letters WHERE dead_letter_id = $1;

-- name: close_dead_letter
-- $1 number, $2 state, $3 note. Rows: its number, if it is still waiting.
-- Uses: storage/writing/replaying.py.
UPDATE dead_letters SET state = $2, note = $3
 WHERE dead_letter_id = $1 AND state = 'waiting' RETURNING dead_letter_id;

-- name: newest_batch_of
-- $1 spool_id, $2 a batch id of a minute ago. Rows: its highest batch id since then, or null.
-- Uses: storage/writing/replaying.py.
SELECT max(batch_id) FROM ingest_batches WHERE spool_id = $1 AND batch_id > $2;

-- name: audit_records
-- $1 record ids text[]. Rows: those that are stored. Uses: storage/writing/audit_records.py.
SELECT record_id, content, id, leaf, received_at FROM audit_records WHERE record_id = ANY ($1);

-- name: add_audit_record
-- $1 record id, $2 content, $3 id, $4 batch, $5 leaf, $6 received (microseconds)
-- Uses: storage/writing/audit_records.py.
INSERT INTO audit_records (record_id, content, id, batch_id, leaf, received_at)
VALUES ($1, $2, $3, $4, $5, 'epoch'::timestamptz + $6::bigint * interval '1 microsecond');
