-- Statements of storage/ledger. Bodies are text, since their bytes are hashed.

-- name: enter_ledger
-- Add entries, which are numbered later.
-- Parallel arrays: $1 kinds text[], $2 bodies text[], $3 batch ids bigint[] (null: not of a batch)
-- Uses: storage/ledger/entries.py, in the transaction of the change that they record.
INSERT INTO ledger_in (kind, body, batch_id)
SELECT kind, body, batch_id
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e (kind, body, batch_id);

-- name: sequence_ledger
-- $1 space   integer   storage/database/locks.py, LEDGER_SPACE
-- Become the sequencer for the rest of the session. Rows: whether the lock was free.
-- Uses: storage/ledger/sequencer.py.
SELECT pg_try_advisory_lock($1, 0);

-- name: ledger_end
-- Rows: how many entries the ledger has, and the hash of the last one (null: none).
-- Uses: storage/ledger/sequencer.py.
SELECT coalesce(max(seq) + 1, 0) AS size,
       (SELECT hash FROM ledger ORDER BY seq DESC LIMIT 1) AS hash
  FROM ledger;

-- name: ledger_keys
-- The entries that define the signing keys, in order. Rows: kind, body.
-- Uses: storage/ledger/sequencer.py, opslog/cli/evidence/ledger.py.
SELECT kind, body FROM ledger WHERE kind <> 'data' AND kind IN ('genesis', 'key_rotate')
 ORDER BY seq;

-- name: waiting_entries
-- Entries without a number, oldest first; the genesis entry before all others.
-- $1 count   integer
-- Rows: in_id, kind, body, created_us. Uses: storage/ledger/sequencer.py.
SELECT in_id, kind, body, (extract(epoch FROM made_at) * 1000000)::bigint AS created_us
  FROM ledger_in
 ORDER BY kind <> 'genesis', in_id
 LIMIT $1;

-- name: append_ledger
-- $1 first seq bigint, $2 in_ids bigint[], $3 hashes bytea[], $4 heights smallint[],
-- $5 places bigint[], $6 nodes bytea[], $7 note text
-- Uses: storage/ledger/sequencer.py.
SELECT opslog_sequence($1, $2, $3, $4, $5, $6, $7);

-- name: ledger_hashes
-- $1 first and $2 end (not included) of a range of entries. Rows: hash, in order.
-- Uses: storage/ledger/tree/stored_nodes.py.
SELECT hash FROM ledger WHERE seq >= $1 AND seq < $2 ORDER BY seq;

-- name: ledger_nodes
-- $1 height, $2 first and $3 end (not included) of a range of places. Rows: hash, in order.
-- Uses: storage/ledger/tree/stored_nodes.py.
SELECT hash FROM ledger_nodes WHERE height = $1 AND place >= $2 AND place < $3 ORDER BY place;

-- name: newest_checkpoint
-- Rows: size, note, made_at of the newest signed head. Uses: readiness, proofs, API.
SELECT size, note, made_at FROM ledger_checkpoints ORDER BY minute DESC LIMIT 1;

-- name: note_ledger_check
-- $1 began_at timestamptz, $2 rows bigint, $3 segments integer, $4 differences text[]
-- Uses: storage/ledger/accounting/checks.py, as the owner.
INSERT INTO ledger_checks (began_at, rows, segments, differences) VALUES ($1, $2, $3, $4);

-- name: newest_ledger_check
-- Rows: began_at, ended_at, rows, segments, differences; none if there was no check yet.
-- Uses: storage/ledger/accounting/checks.py.
SELECT began_at, ended_at, rows, segments, differences
  FROM ledger_checks ORDER BY check_id DESC LIMIT 1;

-- name: restorations
-- Published heads that are void because an older database was restored. Rows: body.
-- Uses: storage/ledger/sequencer.py.
SELECT body FROM ledger_in WHERE kind = 'restore'
 UNION ALL
SELECT body FROM ledger WHERE kind = 'restore' AND kind <> 'data';

-- name: all_checkpoints
-- Every signed head in the database. Rows: note. Uses: storage/ledger/export.py.
SELECT note FROM ledger_checkpoints ORDER BY size, minute;

-- name: all_entries
-- The whole ledger in order. Rows: seq, created_us, kind, body, hash (hex).
-- Uses: storage/ledger/export.py.
SELECT seq, (extract(epoch FROM made_at) * 1000000)::bigint AS created_us, kind, body,
       encode(hash, 'hex') AS hash
  FROM ledger ORDER BY seq;

-- name: all_waiting
-- Entries that no head covers yet. Rows: age in whole seconds, kind, body.
-- Uses: storage/ledger/export.py.
SELECT extract(epoch FROM clock_timestamp() - made_at)::bigint AS age_s, kind, body
  FROM ledger_in ORDER BY in_id;

-- name: all_segments
-- Segments of the catalogue, and tables named like one. `there`: 1 its rows must be checked, 0 no
-- table, -1 a table that is not part of system_logs. Of a packed segment the files are read, even if its
-- leaf still exists.
-- Rows: segment, class, state, rows, there, is_packed, data_hash. Uses: storage/ledger/export.py.
WITH leaves AS (
    SELECT substr(c.relname, 14)::integer AS segment,
           EXISTS (SELECT FROM pg_inherits AS i
                    WHERE i.inhrelid = c.oid AND i.inhparent = 'system_logs'::regclass) AS attached
      FROM pg_class AS c
     WHERE c.relname ~ '^system_logs_s[0-9]{1,9}$' AND c.relkind = 'r'
       AND c.relnamespace = (SELECT p.relnamespace FROM pg_class AS p
                              WHERE p.oid = 'system_logs'::regclass)
)
SELECT segment, coalesce(s.class, '') AS class, coalesce(s.state, 'unknown') AS state, s.rows,
       CASE WHEN l.attached IS NULL THEN 0
            WHEN l.attached OR s.state = 'retiring' AND s.replaced_by IS NULL THEN 1
            ELSE -1 END AS there,
       coalesce(s.state = 'packed' OR s.state = 'retiring' AND s.packed_at IS NOT NULL
                                     AND s.replaced_by IS NULL, false) AS is_packed,
       s.data_hash
  FROM segments AS s FULL JOIN leaves AS l USING (segment)
 ORDER BY segment;

-- name: state_of_segment
-- $1 segment. Rows: its state now. Uses: storage/ledger/export.py, storage/ledger/accounting/balance.py.
SELECT state FROM segments WHERE segment = $1;

-- name: parts_of_segment
-- $1 segment. Rows: batch_id, rows, marks (base64). Uses: storage/ledger/export.py.
SELECT batch_id, rows, translate(encode(marks, 'base64'), E'\n', '') AS marks
  FROM ingest_parts WHERE segment = $1;

-- name: counts_of_segment
-- $1 segment. Rows: minute since 1970, level, kind, source module, rows.
-- Uses: storage/ledger/export.py.
SELECT (extract(epoch FROM minute) / 60)::bigint AS minute, level::text AS level,
       kind::text AS kind, source_module, sum(rows)::bigint AS rows
  FROM log_counts WHERE segment = $1 GROUP BY 1, 2, 3, 4;

-- name: minute_facts
-- Rows: minute since 1970, key, six counters. Uses: storage/ledger/export.py.
SELECT (extract(epoch FROM minute) / 60)::bigint AS minute, ingest_key_id,
       sum(received)::bigint, sum(derived)::bigint, sum(stored)::bigint, sum(duplicate)::bigint,
       sum(dead)::bigint, sum(rejected)::bigint
  FROM ingest_minutes GROUP BY 1, 2;

-- name: batch_facts
-- Rows: batch_id, five counters, rejected (JSON). Uses: storage/ledger/export.py.
SELECT batch_id, received, derived, stored, duplicate, dead, rejected::text AS rejected
  FROM ingest_batches;

-- name: stream_facts
-- Rows: stream_id, resource, scope, their schema URLs. Uses: storage/ledger/export.py.
SELECT stream_id, resource::text, scope::text, resource_schema_url, scope_schema_url
  FROM log_streams;

-- name: dead_letter_facts
-- Rows: batch_id, position, row_bytes. Uses: storage/ledger/export.py.
SELECT batch_id, position, row_bytes FROM dead_letters;

-- name: all_minutes
-- Rows: the six counters over all time. Uses: storage/ledger/accounting/balance.py.
SELECT coalesce(sum(received), 0)::bigint AS received, coalesce(sum(derived), 0)::bigint AS derived,
       coalesce(sum(stored), 0)::bigint AS stored, coalesce(sum(duplicate), 0)::bigint AS duplicate,
       coalesce(sum(dead), 0)::bigint AS dead, coalesce(sum(rejected), 0)::bigint AS rejected
  FROM ingest_minutes;

-- name: unbalanced_minutes
-- Minutes, keys and modules whose counters are not balanced. Rows: those, and both sides.
-- Uses: storage/ledger/accounting/balance.py.
SELECT minute, ingest_key_id, source_module, sum(received + derived)::bigint AS arrived,
       sum(stored + duplicate + dead + rejected)::bigint AS settled
  FROM ingest_minutes
 GROUP BY 1, 2, 3
HAVING sum(received + derived) <> sum(stored + duplicate + dead + rejected)
 ORDER BY 1, 2, 3 LIMIT 100;

-- name: unbalanced_batches
-- Rows: batch_id and both sides. Uses: storage/ledger/accounting/balance.py.
SELECT b.batch_id, b.received + b.derived AS arrived,
       b.stored + b.duplicate + b.dead + r.rejected AS settled
  FROM ingest_batches AS b
 CROSS JOIN LATERAL (SELECT coalesce(sum(count::integer), 0)::integer AS rejected
                       FROM jsonb_each_text(b.rejected) AS e (reason, count)) AS r
 WHERE b.received + b.derived <> b.stored + b.duplicate + b.dead + r.rejected
 ORDER BY 1 LIMIT 100;

-- name: segment_totals
-- Recorded row counts of each segment that is packed or part of system_logs.
-- Rows: segment, class, state, data_hash (null: not packed), rows by parts (null: only in the index of
-- its pack), by minutes, by hours, by the catalogue (null: not yet summed).
-- Uses: storage/ledger/accounting/balance.py, which counts the rows themselves.
SELECT s.segment, s.class, s.state, CASE WHEN s.state = 'packed' THEN s.data_hash END AS data_hash,
       CASE WHEN s.state <> 'packed' THEN p.rows END AS parts,
       c.rows AS counts, h.rows AS hours, s.rows AS settled
  FROM segments AS s
 CROSS JOIN LATERAL (SELECT coalesce(sum(rows), 0)::bigint AS rows
                       FROM ingest_parts AS i WHERE i.segment = s.segment) AS p
 CROSS JOIN LATERAL (SELECT coalesce(sum(rows), 0)::bigint AS rows
                       FROM log_counts AS i WHERE i.segment = s.segment) AS c
 CROSS JOIN LATERAL (SELECT coalesce(sum(rows), 0)::bigint AS rows
                       FROM log_counts_hourly AS i WHERE i.segment = s.segment) AS h
 WHERE s.state = 'packed'
    OR EXISTS (SELECT FROM pg_inherits AS i
                WHERE i.inhparent = 'system_logs'::regclass
                  AND i.inhrelid = to_regclass(format('system_logs_s%s', s.segment)))
 ORDER BY s.segment;

-- name: minutes_between
-- $1 start and $2 end (not included) timestamptz, $3 limit integer
-- Rows: minute, ingest_key_id, source_module, reason, six counters; newest first.
-- Uses: storage/ledger/accounting/balance.py for GET /api/v1/ingest/ledger.
SELECT minute, ingest_key_id, source_module, reason, sum(received)::bigint AS received,
       sum(derived)::bigint AS derived, sum(stored)::bigint AS stored,
       sum(duplicate)::bigint AS duplicate, sum(dead)::bigint AS dead,
       sum(rejected)::bigint AS rejected
  FROM ingest_minutes
 WHERE minute >= $1 AND minute < $2
 GROUP BY 1, 2, 3, 4
 ORDER BY 1 DESC, 2, 3, 4
 LIMIT $3;

-- name: summed_minutes_between
-- $1 start and $2 end (not included) timestamptz, $3 limit integer
-- Rows: minute, six counters over all keys, modules and reasons; newest first.
-- Uses: storage/ledger/accounting/balance.py for GET /api/v1/ingest/ledger?by=minute.
SELECT minute, sum(received)::bigint AS received, sum(derived)::bigint AS derived,
       sum(stored)::bigint AS stored, sum(duplicate)::bigint AS duplicate,
       sum(dead)::bigint AS dead, sum(rejected)::bigint AS rejected
  FROM ingest_minutes
 WHERE minute >= $1 AND minute < $2
 GROUP BY 1
 ORDER BY 1 DESC
 LIMIT $3;

-- name: place_of_record
-- Where a record is stored. $1 id uuid, $2 first and $3 end (not included) of its millisecond.
-- Rows: segment, class, batch_id, position, received_at; of duplicates the first that arrived. Packed
-- segments are read from their files, even if their leaf still exists. Uses: storage/ledger/proof.py.
SELECT l.segment, s.class, l.batch_id, l.position, l.received_at
  FROM system_logs AS l JOIN segments AS s USING (segment)
 WHERE l.id = $1 AND l.created_at >= $2 AND l.created_at < $3 AND s.state <> 'packed'
 ORDER BY l.batch_id, l.position LIMIT 1;

-- name: packs_of_time
-- Packs that may have a record of a time. $1 start, $2 end (not included).
-- Rows: segment, class, data_hash. Uses: storage/ledger/proof.py.
SELECT segment, class, data_hash FROM segments
 WHERE state = 'packed'
   AND (odd_times > 0 OR (min_created_at < $2 AND max_created_at >= $1))
 ORDER BY segment;

-- name: entry_of_batch
-- $1 batch_id. Rows: seq, created_us, kind, body of its data entry, and the hash of the entry before.
-- Uses: storage/ledger/proof.py.
SELECT l.seq, (extract(epoch FROM l.made_at) * 1000000)::bigint AS created_us, l.kind, l.body,
       b.hash AS before
  FROM ledger AS l JOIN ledger AS b ON b.seq = l.seq - 1
 WHERE l.batch_id = $1 AND l.kind = 'data';

-- name: encodings_of_segments
-- What is needed to hash the rows of some segments: encoding version, secret and, of a batch whose
-- secret was deleted, the key of the class. Of a pack, whose parts may be only in its index, of all
-- requests of its time.
-- $1 segments integer[]. Rows: batch_id, class, version, secret, key.
-- Uses: storage/ledger/encodings.py, as the owner.
SELECT p.batch_id, p.class, coalesce(b.encoding_version, 1) AS version, s.secret, k.key
  FROM (SELECT batch_id, class FROM ingest_parts WHERE segment = ANY ($1)
         UNION
        SELECT b.batch_id, g.class
          FROM segments AS g
          JOIN ingest_batches AS b ON b.received_at BETWEEN g.min_received_at AND g.max_received_at
         WHERE g.segment = ANY ($1) AND g.packed_at IS NOT NULL) AS p
  LEFT JOIN ingest_batches AS b USING (batch_id)
  LEFT JOIN batch_secrets AS s USING (batch_id)
  LEFT JOIN batch_keys AS k ON k.batch_id = p.batch_id AND k.class = p.class;

-- name: encodings_of_batches
-- The same for some batches of one class. $1 batch ids bigint[], $2 class text.
-- Rows: batch_id, class, version, secret, key. Uses: storage/ledger/encodings.py, as the owner.
SELECT p.batch_id, $2::text AS class, coalesce(b.encoding_version, 1) AS version, s.secret, k.key
  FROM unnest($1::bigint[]) AS p (batch_id)
  LEFT JOIN ingest_batches AS b USING (batch_id)
  LEFT JOIN batch_secrets AS s USING (batch_id)
  LEFT JOIN batch_keys AS k ON k.batch_id = p.batch_id AND k.class = $2;

-- name: forget_secrets
-- Delete the secrets of batches of which rows of one class are purged; the keys of their other
-- classes, which the ledger names, are kept in their place.
-- $1 batch ids bigint[], $2 class text. Uses: storage/ledger/encodings.py, as the owner.
WITH other AS (
    SELECT DISTINCT d.batch_id, part ->> 0 AS class
      FROM (SELECT batch_id, body FROM ledger WHERE batch_id = ANY ($1) AND kind = 'data'
             UNION ALL
            SELECT batch_id, body FROM ledger_in WHERE batch_id = ANY ($1) AND kind = 'data') AS d
     CROSS JOIN LATERAL jsonb_array_elements(d.body::jsonb -> 'parts') AS part
     WHERE part ->> 0 <> $2
), kept AS (
    INSERT INTO batch_keys (batch_id, class, key)
    SELECT s.batch_id, o.class, opslog_hmac(s.secret, convert_to(o.class, 'UTF8'))
      FROM batch_secrets AS s JOIN other AS o USING (batch_id)
), purged AS (
    DELETE FROM batch_keys WHERE batch_id = ANY ($1) AND class = $2
)
DELETE FROM batch_secrets WHERE batch_id = ANY ($1);

-- name: row_nonces
-- The nonces of rows of a batch. $1 batch_id, $2 class, $3 positions integer[]. Rows: an array; NULL
-- when they cannot be derived. Uses: storage/ledger/proof.py, as the reader.
SELECT opslog_row_nonces($1, $2, $3);

-- name: purges_of
-- Entries about purged rows. Rows: body.
-- Uses: storage/ledger/proof.py.
SELECT body FROM ledger WHERE kind = 'purge' AND kind <> 'data';
