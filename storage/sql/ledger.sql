-- Statements of storage/ledger. Bodies are text, since their bytes are hashed.

-- name: enter_ledger
-- Entries that wait for their number.
-- Arrays in step: $1 kinds text[], $2 bodies text[], $3 batch ids bigint[] (null: not of a batch)
-- Uses: storage/ledger/entries.py, in the transaction of what they speak of.
INSERT INTO ledger_in (kind, body, batch_id)
SELECT kind, body, batch_id
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e (kind, body, batch_id);

-- name: sequence_ledger
-- $1 space   integer   storage/locks.py, LEDGER_SPACE
-- Become the process that sequences, for as long as the session lasts. Rows: whether it is free.
-- Uses: storage/ledger/sequencer.py.
SELECT pg_try_advisory_lock($1, 0);

-- name: ledger_end
-- Rows: how many entries the ledger has, and the hash of the last one (null: none).
-- Uses: storage/ledger/sequencer.py.
SELECT coalesce(max(seq) + 1, 0) AS size,
       (SELECT hash FROM ledger ORDER BY seq DESC LIMIT 1) AS hash
  FROM ledger;

-- name: ledger_keys
-- The entries that say whose signature holds, in order. Rows: kind, body.
-- Uses: storage/ledger/sequencer.py, opslog/cli/ledger.py.
SELECT kind, body FROM ledger WHERE kind <> 'data' AND kind IN ('genesis', 'key_rotate')
 ORDER BY seq;

-- name: waiting_entries
-- Entries without a number, oldest first; the genesis entry before all others.
-- $1 count   integer
-- Rows: in_id, kind, body, made_us. Uses: storage/ledger/sequencer.py.
SELECT in_id, kind, body, (extract(epoch FROM made_at) * 1000000)::bigint AS made_us
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
-- Uses: storage/ledger/tree.py.
SELECT hash FROM ledger WHERE seq >= $1 AND seq < $2 ORDER BY seq;

-- name: ledger_nodes
-- $1 height, $2 first and $3 end (not included) of a range of places. Rows: hash, in order.
-- Uses: storage/ledger/tree.py.
SELECT hash FROM ledger_nodes WHERE height = $1 AND place >= $2 AND place < $3 ORDER BY place;

-- name: newest_checkpoint
-- Rows: size, note, made_at of the newest signed head. Uses: readiness, proofs, API.
SELECT size, note, made_at FROM ledger_checkpoints ORDER BY minute DESC LIMIT 1;

-- name: restorations
-- Which published heads are void, because an older database was restored. Rows: body.
-- Uses: storage/ledger/sequencer.py.
SELECT body FROM ledger_in WHERE kind = 'restore'
 UNION ALL
SELECT body FROM ledger WHERE kind = 'restore' AND kind <> 'data';
