-- Statements of storage/access/ingest_keys.py. "Valid": not revoked, not expired. `revoked_at` may be
-- in the future: the end of a rotation's grace period. jsonb is read as text, independent of the
-- connection's codecs.

-- name: free_key_name
-- Release the name of an expired key.
-- $1 name      text
-- Uses: create, before insert_key.
UPDATE ingest_keys
   SET revoked_at = expires_at
 WHERE name = $1
   AND revoked_at IS NULL
   AND expires_at <= now();

-- name: insert_key
-- Create a key.
-- $1 name, $2 key_hash (SHA-256), $3 hint, $4 made_by, $5 expires_at or null, $6 rotated_from or
-- null, $7 rights, $8 attributes (JSON text), $9 min_level (name) or null, $10 records_per_s or
-- null, $11 bytes_per_s or null
-- Rows: the public part of the key. 23505 when the name is in use.
-- Uses: create, rotate.
INSERT INTO ingest_keys (name, key_hash, hint, made_by, expires_at, rotated_from, rights,
                         attributes, min_level, records_per_s, bytes_per_s)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::log_level, $10, $11)
RETURNING ingest_key_id, name, hint, made_at, made_by, expires_at, revoked_at, rotated_from,
          last_used_at, rights, attributes::text AS attributes, min_level, records_per_s,
          bytes_per_s;

-- name: list_keys
-- Keys by name, newest first within a name.
-- $1 all       boolean   including revoked and expired ones
-- Rows: as of insert_key.
-- Uses: list_keys.
SELECT ingest_key_id, name, hint, made_at, made_by, expires_at, revoked_at, rotated_from,
       last_used_at, rights, attributes::text AS attributes, min_level, records_per_s, bytes_per_s
  FROM ingest_keys
 WHERE $1
    OR (revoked_at IS NULL OR revoked_at > now()) AND (expires_at IS NULL OR expires_at > now())
 ORDER BY name, ingest_key_id DESC;

-- name: end_key
-- Begin the grace period of the key that is replaced.
-- $1 name      text
-- $2 grace     interval
-- Rows: as of insert_key; none when there is no valid key with the name.
-- Uses: rotate.
UPDATE ingest_keys
   SET revoked_at = now() + $2
 WHERE name = $1
   AND revoked_at IS NULL
   AND (expires_at IS NULL OR expires_at > now())
RETURNING ingest_key_id, name, hint, made_at, made_by, expires_at, revoked_at, rotated_from,
          last_used_at, rights, attributes::text AS attributes, min_level, records_per_s,
          bytes_per_s;

-- name: revoke_keys
-- Revoke every key with a name, also those in their grace period.
-- $1 name      text
-- Rows: ingest_key_id of those that were valid.
-- Uses: revoke.
UPDATE ingest_keys
   SET revoked_at = now()
 WHERE name = $1
   AND (revoked_at IS NULL OR revoked_at > now())
   AND (expires_at IS NULL OR expires_at > now())
RETURNING ingest_key_id;

-- name: announce_keys
-- Notify receivers at the end of the transaction that the keys have changed.
-- $1 channel   text
-- Uses: create, rotate, revoke.
SELECT pg_notify($1, '');

-- name: keys_in_force
-- Every valid key, with its hash, for receivers.
-- Rows: the contents of KeyRing. Every 2 s per receiver; the table is small.
-- Uses: keys_in_force.
SELECT ingest_key_id, name, key_hash, revoked_at, expires_at, rights,
       attributes::text AS attributes, min_level, records_per_s, bytes_per_s
  FROM ingest_keys
 WHERE (revoked_at IS NULL OR revoked_at > now())
   AND (expires_at IS NULL OR expires_at > now())
 ORDER BY ingest_key_id;

-- name: note_key_use
-- Store when keys were last used; a time never moves back.
-- $1 ids       integer[]
-- $2 used_at   timestamptz[]
-- Uses: note_use, once a minute per receiver.
UPDATE ingest_keys AS k
   SET last_used_at = u.used_at
  FROM unnest($1::integer[], $2::timestamptz[]) AS u (id, used_at)
 WHERE k.ingest_key_id = u.id
   AND (k.last_used_at IS NULL OR k.last_used_at < u.used_at);
