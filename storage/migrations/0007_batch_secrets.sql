-- Encoding version 2: nonces are derived from a secret of the batch (storage/record/nonces.py).
-- Forward only; runs as the owner role inside one transaction (storage/database/migrate.py). Rows of
-- version 1 keep their nonces. An opslog of the release before goes on writing version 1.
SET LOCAL lock_timeout = '4s';

-- The leaves follow.
ALTER TABLE system_logs ALTER COLUMN nonce DROP NOT NULL;

-- The secret of a batch, inserted in the transaction of its rows; no API role may read it. Deleted
-- when one of the rows is purged, or when none is left.
CREATE TABLE batch_secrets (
    batch_id    bigint PRIMARY KEY,
    secret      bytea NOT NULL
);

-- Of a batch whose secret was deleted: the keys of those classes of which no row was purged.
CREATE TABLE batch_keys (
    batch_id    bigint NOT NULL,
    class       text NOT NULL,
    key         bytea NOT NULL,       -- HMAC-SHA-256(secret, class)
    PRIMARY KEY (batch_id, class)
);

-- HMAC-SHA-256 with a key of at most 64 bytes, in SQL as in storage/record/nonces.py.
-- Uses: opslog_row_nonces, storage/sql/ledger.sql.
CREATE FUNCTION opslog_hmac(key bytea, message bytea) RETURNS bytea
LANGUAGE sql IMMUTABLE STRICT SET search_path = public, pg_temp AS $$
    SELECT sha256(string_agg(set_byte('\x00', 0, byte # 92), '' ORDER BY place)
                  || sha256(string_agg(set_byte('\x00', 0, byte # 54), '' ORDER BY place)
                            || message))
      FROM (SELECT place, CASE WHEN place < length(key) THEN get_byte(key, place) ELSE 0 END AS byte
              FROM generate_series(0, 63) AS g (place)) AS padded;
$$;

-- The nonces of rows of one batch and class, for proofs; NULL when they cannot be derived.
-- Uses: storage/ledger/proof.py as the reader, who may not see the secret.
CREATE FUNCTION opslog_row_nonces(batch bigint, class_name text, positions integer[])
RETURNS bytea[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    key bytea := coalesce(
        (SELECT k.key FROM batch_keys AS k WHERE k.batch_id = batch AND k.class = class_name),
        (SELECT opslog_hmac(s.secret, convert_to(class_name, 'UTF8'))
           FROM batch_secrets AS s WHERE s.batch_id = batch));
    inner_block bytea;
    outer_block bytea;
BEGIN
    IF key IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT string_agg(set_byte('\x00', 0, byte # 54), '' ORDER BY place),
           string_agg(set_byte('\x00', 0, byte # 92), '' ORDER BY place)
      INTO inner_block, outer_block
      FROM (SELECT place, CASE WHEN place < length(key) THEN get_byte(key, place) ELSE 0 END AS byte
              FROM generate_series(0, 63) AS g (place)) AS padded;
    RETURN (SELECT array_agg(substr(
                       sha256(outer_block || sha256(inner_block || int4send(position >> 1))),
                       1 + 16 * (position & 1), 16) ORDER BY place)
              FROM unnest(positions) WITH ORDINALITY AS p (position, place));
END $$;

REVOKE ALL ON FUNCTION opslog_hmac(bytea, bytea), opslog_row_nonces(bigint, text, integer[])
    FROM PUBLIC;
