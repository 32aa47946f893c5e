-- Statements of storage/ledger. Bodies are text, since their bytes are hashed.

-- name: enter_ledger
-- Entries that wait for their number.
-- Arrays in step: $1 kinds text[], $2 bodies text[], $3 batch ids bigint[] (null: not of a batch)
-- Uses: storage/ledger/entries.py, in the transaction of what they speak of.
INSERT INTO ledger_in (kind, body, batch_id)
SELECT kind, body, batch_id
  FROM unnest($1::text[], $2::text[], $3::bigint[]) AS e (kind, body, batch_id);
