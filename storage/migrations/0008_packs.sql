-- Packs: a closed segment becomes a column file outside the database, and its leaf goes.
-- Forward only; runs as the owner role inside one transaction (storage/migrate.py). An opslog of the
-- release before does not start on it: it would not find the rows of packed segments.
SET LOCAL lock_timeout = '4s';

-- 'sealed' is left by the release before; such a segment is packed like a closed one.
ALTER TABLE segments DROP CONSTRAINT segments_state_check;
ALTER TABLE segments ADD CONSTRAINT segments_state_check CHECK (state IN (
    'ready', 'open', 'closed', 'sealed', 'packed', 'retiring', 'dropped'));
ALTER TABLE segments
    DROP COLUMN sealed_at,
    DROP COLUMN finished_at,
    DROP COLUMN seal_ms,
    DROP COLUMN disk_bytes,
    ADD COLUMN packed_at     timestamptz,
    ADD COLUMN data_bytes    bigint,
    ADD COLUMN index_bytes   bigint,
    ADD COLUMN data_hash     bytea,
    ADD COLUMN index_hash    bytea,
    ADD COLUMN pack_ms       integer,
    ADD COLUMN leaf_dropped  boolean NOT NULL DEFAULT false,
    ADD COLUMN parts_dropped boolean NOT NULL DEFAULT false,
    ADD COLUMN files_dropped boolean NOT NULL DEFAULT false,
    ADD COLUMN claimed_until timestamptz;

-- Which installation this database belongs to; the folder of its packs carries the same id.
CREATE TABLE installation (
    only_one        boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    made_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    packs_made_at   timestamptz     -- when their folder got its marker: made only once
);
INSERT INTO installation DEFAULT VALUES;
