-- Statements of retention. What goes by a leaf's name is in leaves.sql.

-- name: trigram_opclass
-- The trigram operator class with the schema where pg_trgm was put.
-- Rows: its quoted name; none without pg_trgm. Uses: storage/leaves.py.
SELECT format('%I.gin_trgm_ops', n.nspname)
  FROM pg_opclass AS c JOIN pg_namespace AS n ON n.oid = c.opcnamespace
 WHERE c.opcname = 'gin_trgm_ops';

-- name: install_trigrams
-- pg_trgm is a trusted extension: who may create in the database may install it where the server
-- has its files. Uses: storage/leaves.py.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- name: leaf_is_frozen
-- Whether VACUUM FREEZE got at every page of a table.
-- $1 table     text
-- Uses: storage/leaves.py.
SELECT relallvisible >= relpages FROM pg_class WHERE oid = to_regclass($1);

-- name: leaf_constraint
-- $1 table     text
-- Rows: whether its CHECK on time and level is validated; none: it has none. Uses: storage/leaves.py.
SELECT convalidated FROM pg_constraint WHERE conrelid = to_regclass($1) AND conname = $1 || '_range';

-- name: inserted_rows
-- Rows that were ever inserted into this database; the difference of two looks is the load.
-- Uses: retention/load.py.
SELECT pg_stat_get_db_tuples_inserted(oid) FROM pg_database WHERE datname = current_database();

-- name: try_lock
-- Take an advisory lock for as long as the session lasts.
-- $1 space     integer   storage/locks.py
-- $2 key       integer
-- Rows: whether it was free. Uses: retention/locks.py.
SELECT pg_try_advisory_lock($1, $2);

-- name: unlock
-- $1 space     integer
-- $2 key       integer
-- Uses: retention/locks.py.
SELECT pg_advisory_unlock($1, $2);

-- name: segments_to_seal
-- Closed segments whose figures are known, those first whose search is slow for most rows, and
-- sealed ones that could not be frozen or constrained yet.
-- Rows: segment, class, state, rows. Uses: retention/seal.py.
SELECT segment, class, state, rows
  FROM segments
 WHERE (state = 'closed' AND rows IS NOT NULL)
    OR (state = 'sealed' AND finished_at IS NULL)
 ORDER BY state, closed_at, segment;

-- name: segment_to_seal
-- The same of one segment, read again after its lock was taken.
-- $1 segment   integer
-- Rows: class, state, rows, is_hold. Uses: retention/seal.py.
SELECT class, state, rows, is_hold FROM segments WHERE segment = $1;

-- name: parts_of_segment
-- What was to be in a segment, by the hashes taken before the database saw the rows.
-- $1 segment   integer
-- Rows: batch_id, rows, digest. Uses: retention/seal.py, storage/rewriting.py.
SELECT batch_id, rows, digest FROM ingest_parts WHERE segment = $1 ORDER BY batch_id;

-- name: mark_sealed
-- $1 segment   integer
-- $2 digest    bytea     Merkle root over its rows; NULL when it was not read back
-- $3 took      integer   milliseconds
-- $4 damage    text      what the read-back found; NULL: nothing
-- $5 table     text      its leaf
-- Uses: retention/seal.py, in the transaction of the ledger's entry.
UPDATE segments
   SET state = 'sealed', sealed_at = clock_timestamp(), digest = $2, seal_ms = $3, damage = $4,
       disk_bytes = pg_total_relation_size(to_regclass($5))
 WHERE segment = $1 AND state = 'closed';

-- name: mark_finished
-- $1 segment   integer
-- Uses: retention/seal.py, when it is frozen and constrained as well.
UPDATE segments SET finished_at = clock_timestamp() WHERE segment = $1;

-- name: seal_backlog
-- Rows of closed segments that wait, and what sealing took lately.
-- Rows: segments, rows, ms_per_row (NULL: nothing was sealed yet), unfinished, damaged.
-- Uses: retention/status.py.
SELECT count(*) FILTER (WHERE s.state = 'closed') AS segments,
       coalesce(sum(s.rows) FILTER (WHERE s.state = 'closed'), 0)::bigint AS rows,
       (SELECT sum(l.seal_ms)::float8 / nullif(sum(l.rows), 0)
          FROM (SELECT seal_ms, rows FROM segments WHERE seal_ms IS NOT NULL AND rows > 1000
                 ORDER BY sealed_at DESC LIMIT 10) AS l) AS ms_per_row,
       count(*) FILTER (WHERE s.state = 'sealed' AND s.finished_at IS NULL) AS unfinished,
       count(*) FILTER (WHERE s.damage IS NOT NULL) AS damaged
  FROM segments AS s
 WHERE s.state IN ('closed', 'sealed');
