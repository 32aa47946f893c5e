-- The ledger that shows changes, the figures of what came and what became of it, ids of audit records.
-- Forward only; runs as the owner role inside one transaction (storage/migrate.py).
-- Advisory lock 1869638661, 0 (storage/locks.py): the one process that sequences the ledger.
SET LOCAL lock_timeout = '4s';

-- Entries that wait for their number, put here in the transaction of what they speak of. Writers do
-- not number them: a chain written by the writers themselves would make them wait for each other.
CREATE TABLE ledger_in (
    in_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL,          -- storage/ledger/entries.py
    body        text NOT NULL,          -- JSON; text, because its bytes are hashed
    batch_id    bigint,                 -- of kind data
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The ledger. hash = SHA-256(0x00, entry), where the entry holds the hash of the one before it, so
-- that the hashes are a chain and the leaves of a Merkle tree (RFC 9162) at the same time.
CREATE TABLE ledger (
    seq         bigint PRIMARY KEY,     -- from 0, without gaps
    kind        text NOT NULL,
    body        text NOT NULL,
    batch_id    bigint,
    made_at     timestamptz NOT NULL,
    hash        bytea NOT NULL
);
CREATE INDEX ledger_batch ON ledger (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX ledger_other ON ledger (seq) WHERE kind <> 'data';

-- Roots of whole subtrees of 256 leaves, of 256 of those, and so on: a proof of one entry among a
-- billion reads some thousand rows. They follow from `ledger` and prove nothing by themselves.
CREATE TABLE ledger_nodes (
    height      smallint NOT NULL,      -- 8, 16, 24 …
    place       bigint NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (height, place)
);

-- Signed heads: of each minute the newest. Every one is published outside the database.
CREATE TABLE ledger_checkpoints (
    minute      timestamptz PRIMARY KEY,
    size        bigint NOT NULL,        -- entries that it covers
    made_at     timestamptz NOT NULL,
    note        text NOT NULL           -- C2SP signed note
);
CREATE INDEX ledger_checkpoints_size ON ledger_checkpoints (size);

CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
ALTER TABLE ledger ENABLE ALWAYS TRIGGER refuse_change;
CREATE TRIGGER refuse_change BEFORE UPDATE OR TRUNCATE ON ledger_in
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
ALTER TABLE ledger_in ENABLE ALWAYS TRIGGER refuse_change;

-- Gives waiting entries their place in the ledger, with the head that covers them.
-- first_seq     number of the first; anything but the next one is refused (SQLSTATE 40001)
-- in_ids, hashes   the entries in order, and the hash of each
-- heights, places, nodes   subtrees that are whole now
-- note          the signed head, of `first_seq` plus the number of entries
-- Uses: storage/ledger/sequencer.py. The writer may call it, and may not delete what waits: an entry
-- leaves ledger_in only for the ledger.
CREATE FUNCTION opslog_sequence(first_seq bigint, in_ids bigint[], hashes bytea[],
    heights smallint[], places bigint[], nodes bytea[], note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    moved bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1869638661, 1);
    IF first_seq IS DISTINCT FROM (SELECT coalesce(max(l.seq) + 1, 0) FROM ledger AS l) THEN
        RAISE EXCEPTION 'entry % is not the next one of the ledger', first_seq
            USING ERRCODE = 'serialization_failure';
    END IF;
    WITH placed AS (
        SELECT p.in_id, p.hash, first_seq + p.place - 1 AS seq
          FROM unnest(in_ids, hashes) WITH ORDINALITY AS p (in_id, hash, place)
    ), gone AS (
        DELETE FROM ledger_in AS w USING placed AS p WHERE w.in_id = p.in_id
        RETURNING p.seq, w.kind, w.body, w.batch_id, w.made_at, p.hash
    )
    INSERT INTO ledger (seq, kind, body, batch_id, made_at, hash)
    SELECT g.seq, g.kind, g.body, g.batch_id, g.made_at, g.hash FROM gone AS g ORDER BY g.seq;
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> cardinality(in_ids) THEN
        RAISE EXCEPTION 'some entries do not wait any more' USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO ledger_nodes (height, place, hash)
    SELECT n.height, n.place, n.hash FROM unnest(heights, places, nodes) AS n (height, place, hash);
    INSERT INTO ledger_checkpoints AS c (minute, size, made_at, note)
    VALUES (date_trunc('minute', clock_timestamp()), first_seq + moved, clock_timestamp(), note)
    ON CONFLICT (minute) DO UPDATE
       SET size = excluded.size, made_at = excluded.made_at, note = excluded.note;
END $$;
REVOKE ALL ON FUNCTION opslog_sequence(bigint, bigint[], bytea[], smallint[], bigint[], bytea[],
    text) FROM PUBLIC;

-- First four bytes of each leaf of a part, in order of position. They prove nothing: the digest
-- does; they tell which row it was when the digest does not fit any more.
ALTER TABLE ingest_parts ADD COLUMN marks bytea NOT NULL DEFAULT '';

-- What came and what became of it, per minute of arrival; in the transaction of the rows.
-- received + derived = stored + duplicate + dead + rejected, for each minute, key and module.
-- `spool_id` keeps writers out of each other's way: no two update the same row.
CREATE TABLE ingest_minutes (
    minute          timestamptz NOT NULL,
    ingest_key_id   integer NOT NULL,
    source_module   varchar(50) NOT NULL,   -- '' where a rejected record says none
    reason          text NOT NULL,          -- of `rejected`; '' in the row of all other figures
    spool_id        integer NOT NULL,
    received        bigint NOT NULL,
    derived         bigint NOT NULL,
    stored          bigint NOT NULL,
    duplicate       bigint NOT NULL,
    dead            bigint NOT NULL,        -- in dead_letters; a replay takes them off again
    rejected        bigint NOT NULL,
    PRIMARY KEY (minute, ingest_key_id, source_module, reason, spool_id)
) WITH (fillfactor = 70);

-- Audit records by the id that their sender gave them; in the transaction of the rows.
CREATE TABLE audit_records (
    record_id       text PRIMARY KEY,       -- audit.record.id
    content         bytea NOT NULL,         -- SHA-256 of the record as sent
    id              uuid NOT NULL,          -- of the row
    batch_id        bigint NOT NULL,
    leaf            bytea NOT NULL,         -- what the receipt says
    received_at     timestamptz NOT NULL
);
