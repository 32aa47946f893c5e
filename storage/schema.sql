-- The whole schema as the numbered migrations leave it, in one file to be read. Nothing runs it but
-- tests/integration/storage/test_schema.py, which builds it beside the migrations and compares.
-- Rights are in migrations/grants.sql, roles in storage/database/roles.py, leaves in opslog_make_leaf below.

CREATE TYPE log_level AS ENUM ('DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL');

-- One row per log record, span or audit record. Columns: storage/record/columns.py, in the same order.
CREATE TABLE system_logs (
    created_at      timestamptz NOT NULL,
    received_at     timestamptz NOT NULL,
    batch_id        bigint NOT NULL,
    stream_id       bigint NOT NULL,
    duration_ns     bigint,
    segment         integer NOT NULL,
    position        integer NOT NULL,
    ingest_key_id   integer NOT NULL,
    tenant          integer NOT NULL DEFAULT 0,
    level           log_level NOT NULL,
    created_ns      smallint NOT NULL,
    severity_number smallint NOT NULL,
    kind            "char" NOT NULL,
    id              uuid NOT NULL,
    trace_id        uuid,
    span_id         bytea,
    parent_span_id  bytea,
    nonce           bytea NOT NULL,
    ip_address      inet,
    source_module   varchar(50) NOT NULL,
    action          varchar(100) NOT NULL,
    resource_type   varchar(50),
    resource_id     text,
    actor_id        text,
    correlation_id  varchar(36),
    message         text NOT NULL,
    metadata        jsonb NOT NULL
) PARTITION BY LIST (segment);

CREATE SEQUENCE segment_numbers AS integer;

-- The catalogue: one row per segment. The leaf of segment 7 is the table system_logs_s7.
CREATE TABLE segments (
    segment         integer PRIMARY KEY,
    class           text NOT NULL,
    state           text NOT NULL
        CHECK (state IN ('ready',     -- leaf made and attached ahead of time, no rows yet
                         'open',      -- the one that writers of its class fill
                         'closed',    -- rolled over; never changes again; waits to be sealed
                         'sealed',    -- bulk indexes, frozen, zone map and digest final
                         'cold',      -- moved to a cold tier (planned)
                         'retiring',  -- nothing reads it any more; its leaf is about to vanish
                         'dropped')), -- gone; the row stays as the record of it
    rows            bigint,           -- exact from 'closed' on; of an open one: sum over ingest_parts
    bytes           bigint,           -- COPY bytes
    min_created_at  timestamptz,      -- zone map over plausible times; NULL: no such row
    max_created_at  timestamptz,
    odd_times       bigint,           -- rows dated outside the plausible range
    min_received_at timestamptz,
    max_received_at timestamptz,
    made_at         timestamptz NOT NULL DEFAULT now(),
    opened_at       timestamptz,
    closed_at       timestamptz,
    sealed_at       timestamptz,
    dropped_at      timestamptz,
    digest          bytea,
    traces          bytea,            -- room for a filter of trace ids (billions of rows)
    is_hold         boolean NOT NULL DEFAULT false,  -- rows that only legal holds keep
    replaced_by     integer,          -- the segment that has its rows now, after a rewrite
    finished_at     timestamptz,      -- sealed, and frozen and constrained as well
    seal_ms         integer,          -- how long sealing took: for the seconds to clear
    disk_bytes      bigint,           -- of the sealed leaf with its indexes
    damage          text              -- what the read-back before sealing found wrong
);
-- At most one open and one ready segment per class.
CREATE UNIQUE INDEX segments_open ON segments (class) WHERE state = 'open';
CREATE UNIQUE INDEX segments_ready ON segments (class) WHERE state = 'ready';

-- Resource and scope, stored once. Rows never change.
CREATE TABLE log_streams (
    stream_id            bigint PRIMARY KEY,
    digest               bytea NOT NULL,
    resource             jsonb NOT NULL,
    scope                jsonb NOT NULL,
    resource_schema_url  text NOT NULL,
    scope_schema_url     text NOT NULL,
    first_seen           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX log_streams_resource ON log_streams USING gin (resource jsonb_path_ops);

-- One row per spool (a receiver's or query server's folder); its number is part of batch ids.
CREATE TABLE spools (
    spool_id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    identity    uuid NOT NULL UNIQUE,
    host        text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now()
);

-- One row per request that reached the store, claimed in the transaction of its rows.
CREATE TABLE ingest_batches (
    batch_id         bigint PRIMARY KEY,
    received_at      timestamptz NOT NULL,
    stored_at        timestamptz NOT NULL DEFAULT now(),
    spool_id         integer NOT NULL,
    ingest_key_id    integer NOT NULL,
    encoding_version smallint NOT NULL,
    signal           text NOT NULL,          -- logs, traces, audit
    request_hash     bytea NOT NULL,
    duplicate_of     bigint,                 -- the batch that holds the rows, when this one is a copy
    received         integer NOT NULL,       -- records in the request
    derived          integer NOT NULL,       -- rows made from others
    stored           integer NOT NULL,
    duplicate        integer NOT NULL,
    dead             integer NOT NULL,       -- rows in dead_letters
    rejected         jsonb NOT NULL          -- reason -> count
);
CREATE INDEX ingest_batches_received ON ingest_batches USING brin (received_at);

-- The rows of one batch in one segment, with their hash, computed before the database saw them.
CREATE TABLE ingest_parts (
    batch_id        bigint NOT NULL,
    segment         integer NOT NULL,
    class           text NOT NULL,
    rows            integer NOT NULL,
    bytes           integer NOT NULL,
    digest          bytea NOT NULL,
    min_created_at  timestamptz,
    max_created_at  timestamptz,
    odd_times       integer NOT NULL,
    received_at     timestamptz NOT NULL,
    marks           bytea NOT NULL DEFAULT '',  -- first four bytes of each leaf, for verify
    PRIMARY KEY (segment, batch_id)
);

-- Requests seen lately, so that a client's retry is recognised. Pruned after otlp.duplicate_window_s.
CREATE TABLE ingest_requests (
    request_hash    bytea PRIMARY KEY,
    batch_id        bigint NOT NULL,
    received_at     timestamptz NOT NULL
);
CREATE INDEX ingest_requests_received ON ingest_requests (received_at);

-- Rows per minute and hour, in the transaction of the rows; go with their segment.
-- `spool_id` keeps writers out of each other's way: no two update the same row.
CREATE TABLE log_counts (
    segment         integer NOT NULL,
    minute          timestamptz NOT NULL,
    level           log_level NOT NULL,
    kind            "char" NOT NULL,
    source_module   varchar(50) NOT NULL,
    class           text NOT NULL,
    spool_id        integer NOT NULL,
    rows            bigint NOT NULL,
    bytes           bigint NOT NULL,
    PRIMARY KEY (segment, minute, level, kind, source_module, spool_id)
) WITH (fillfactor = 70);
CREATE INDEX log_counts_minute ON log_counts (minute);
CREATE TABLE log_counts_hourly (
    segment         integer NOT NULL,
    hour            timestamptz NOT NULL,
    level           log_level NOT NULL,
    kind            "char" NOT NULL,
    source_module   varchar(50) NOT NULL,
    class           text NOT NULL,
    spool_id        integer NOT NULL,
    rows            bigint NOT NULL,
    bytes           bigint NOT NULL,
    PRIMARY KEY (segment, hour, level, kind, source_module, spool_id)
) WITH (fillfactor = 70);
CREATE INDEX log_counts_hourly_hour ON log_counts_hourly (hour);

-- Rows that PostgreSQL refused, redacted, with the reason; replayable.
CREATE TABLE dead_letters (
    dead_letter_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    batch_id        bigint NOT NULL,
    position        integer NOT NULL,
    class           text NOT NULL,
    encoding_version smallint NOT NULL,
    row_bytes       bytea NOT NULL,         -- the COPY tuple as encoded
    leaf            bytea NOT NULL,
    sqlstate        text NOT NULL,
    reason          text NOT NULL,
    received_at     timestamptz NOT NULL,
    made_at         timestamptz NOT NULL DEFAULT now(),
    state           text NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'replayed', 'discarded')),
    note            text
);

-- Keys that senders show. Only the hash is stored; the key is shown once.
CREATE TABLE ingest_keys (
    ingest_key_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL,
    key_hash        bytea NOT NULL UNIQUE,  -- SHA-256 of the key
    hint            text NOT NULL,          -- first characters, so that people can tell keys apart
    made_at         timestamptz NOT NULL DEFAULT now(),
    made_by         text NOT NULL,
    expires_at      timestamptz,
    revoked_at      timestamptz,
    rotated_from    integer,
    last_used_at    timestamptz,
    rights          text[] NOT NULL DEFAULT '{logs,traces}',  -- logs, traces, audit
    attributes      jsonb NOT NULL DEFAULT '{}',              -- added to each resource
    min_level       log_level,
    records_per_s   integer,
    bytes_per_s     bigint
);
CREATE UNIQUE INDEX ingest_keys_name ON ingest_keys (name) WHERE revoked_at IS NULL;

-- ---------------------------------------------------------------------------------------------
-- How segments are made, opened, rolled over; who may not change records; who hears of it.
-- Advisory locks, in the order in which they are taken (storage/database/locks.py has the same numbers):
--   1869638658, hashtext(class)   making the next leaf of a class, one at a time
--   1869638657, hashtext(class)   the gate: writers share it, rolling over takes it alone
-- ---------------------------------------------------------------------------------------------

-- Refuses every statement that would change stored records, whoever runs it.
-- Uses: trigger `refuse_change` on system_logs and on every leaf.
CREATE FUNCTION opslog_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: stored records do not change', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Retention removes whole segments; nothing changes or deletes a single row.';
END $$;

-- By statement, so that it costs an INSERT nothing and refuses even where no row would match.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON system_logs
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
-- ALWAYS: also where session_replication_role = 'replica' switches ordinary triggers off.
ALTER TABLE system_logs ENABLE ALWAYS TRIGGER refuse_change;

-- Tells every catalogue copy that `segments` has changed.
-- Uses: trigger `tell_catalogue`; heard by storage/segments/catalogue.py.
CREATE FUNCTION opslog_tell_catalogue() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('opslog_segments', '');
    RETURN NULL;
END $$;

CREATE TRIGGER tell_catalogue AFTER INSERT OR UPDATE OR DELETE ON segments
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_tell_catalogue();

-- Makes the leaf of one segment: table, indexes of an open segment, trigger, rights, ATTACH.
-- segment_number   taken from segment_numbers, so nothing from outside reaches an identifier
-- Cost: 25-60 ms. CREATE ... PARTITION OF would lock out readers behind any long read; a table
-- that is attached when it is finished does not.
-- Uses: opslog_prepare_segment; not for others.
CREATE FUNCTION opslog_make_leaf(segment_number integer) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    leaf text := format('system_logs_s%s', segment_number);
BEGIN
    -- Rows are never updated, hence fillfactor 100. Autovacuum would read a filling leaf several
    -- times over; sealing does its work once (the anti-wraparound vacuum is not affected).
    EXECUTE format(
        'CREATE TABLE %I (LIKE system_logs INCLUDING DEFAULTS) WITH
             (fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off)', leaf);
    -- The default fills the column, so the COPY bytes need not name the segment.
    EXECUTE format('ALTER TABLE %I ALTER COLUMN segment SET DEFAULT %s', leaf, segment_number);
    -- The questions that an open segment answers by index; every index is paid per row at ingest.
    EXECUTE format('CREATE INDEX %I ON %I (created_at)', leaf || '_created', leaf);
    EXECUTE format('CREATE INDEX %I ON %I (trace_id) WHERE trace_id IS NOT NULL',
                   leaf || '_trace', leaf);
    EXECUTE format('CREATE INDEX %I ON %I (actor_id, created_at) WHERE actor_id IS NOT NULL',
                   leaf || '_actor', leaf);
    EXECUTE format('CREATE INDEX %I ON %I (resource_id, created_at) WHERE resource_id IS NOT NULL',
                   leaf || '_resource', leaf);
    EXECUTE format('CREATE INDEX %I ON %I (correlation_id) WHERE correlation_id IS NOT NULL',
                   leaf || '_correlation', leaf);
    EXECUTE format('CREATE INDEX %I ON %I USING brin (received_at)', leaf || '_received', leaf);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change()', leaf);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER refuse_change', leaf);
    -- The roles are missing where the login may not create them; see docs/reference/database.md.
    IF to_regrole('opslog_writer') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT, INSERT ON %I TO opslog_writer', leaf);
    END IF;
    IF to_regrole('opslog_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON %I TO opslog_reader', leaf);
    END IF;
    EXECUTE format('ALTER TABLE system_logs ATTACH PARTITION %I FOR VALUES IN (%s)',
                   leaf, segment_number);
END $$;

-- The ready segment of a class; makes it when there is none.
-- class_name   retention class, 1 to 100 characters
-- Rows: its number. Waits at most 2 s for a lock (SQLSTATE 55P03), writers never wait for it.
-- Uses: storage/segments/rollover.py ahead of time; opslog_open_segment, opslog_roll_segment.
CREATE FUNCTION opslog_prepare_segment(class_name text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    number integer;
BEGIN
    IF class_name IS NULL OR length(class_name) NOT BETWEEN 1 AND 100 THEN
        RAISE EXCEPTION 'a retention class has a name of 1 to 100 characters'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT s.segment INTO number FROM segments AS s WHERE s.class = class_name AND s.state = 'ready';
    IF FOUND THEN
        RETURN number;
    END IF;
    PERFORM pg_advisory_xact_lock(1869638658, hashtext(class_name));
    SELECT s.segment INTO number FROM segments AS s WHERE s.class = class_name AND s.state = 'ready';
    IF FOUND THEN
        RETURN number;
    END IF;
    number := nextval('segment_numbers');
    PERFORM opslog_make_leaf(number);
    INSERT INTO segments (segment, class, state) VALUES (number, class_name, 'ready');
    RETURN number;
END $$;

-- The open segment of a class; opens the ready one, or makes one, when there is none.
-- class_name   retention class
-- Rows: its number. Call it in a transaction of its own: what it opens is seen by others after
-- the commit, and they wait for it until then.
-- Uses: storage/segments/rollover.py, for a class that opslog_enter_segments did not answer.
CREATE FUNCTION opslog_open_segment(class_name text) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    number integer;
BEGIN
    SELECT s.segment INTO number FROM segments AS s WHERE s.class = class_name AND s.state = 'open';
    IF FOUND THEN
        RETURN number;
    END IF;
    PERFORM opslog_prepare_segment(class_name);  -- before the gate, which must be short
    PERFORM pg_advisory_xact_lock(1869638657, hashtext(class_name));
    SELECT s.segment INTO number FROM segments AS s WHERE s.class = class_name AND s.state = 'open';
    IF FOUND THEN
        RETURN number;
    END IF;
    UPDATE segments AS s SET state = 'open', opened_at = clock_timestamp()
     WHERE s.class = class_name AND s.state = 'ready' RETURNING s.segment INTO STRICT number;
    RETURN number;
END $$;

-- Enters the gate of some classes for the rest of the transaction: until it ends, none of the
-- segments that are returned can be rolled over.
-- classes   retention classes of the rows that the transaction is about to store
-- Rows: class and number of its open segment; a class without an open one is left out.
-- READ COMMITTED only: the state has to be read after the gate was entered.
-- Uses: storage/segments/rollover.py, enter_segments. Sorted, so that two writers never wait crosswise.
CREATE FUNCTION opslog_enter_segments(classes text[])
RETURNS TABLE (class_name text, segment_number integer)
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    gate integer;
BEGIN
    FOR gate IN SELECT DISTINCT hashtext(c.name) FROM unnest(classes) AS c (name) ORDER BY 1 LOOP
        PERFORM pg_advisory_xact_lock_shared(1869638657, gate);
    END LOOP;
    RETURN QUERY SELECT s.class, s.segment FROM segments AS s
                  WHERE s.state = 'open' AND s.class = ANY (classes);
END $$;

-- Closes the open segment of a class and opens the ready one.
-- class_name   retention class
-- expected     the segment to close; another one open means that somebody was faster
-- Rows: the number of the open segment afterwards. Waits at most 1 s for the writers that are in
-- (SQLSTATE 55P03 after that), since new ones wait behind it; then two updates, and they go on.
-- The figures of the closed segment are not summed behind the gate but by opslog_settle_segments.
-- Uses: storage/segments/rollover.py.
CREATE FUNCTION opslog_roll_segment(class_name text, expected integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '1s' AS $$
DECLARE
    number integer;
BEGIN
    SELECT s.segment INTO number FROM segments AS s WHERE s.class = class_name AND s.state = 'open';
    IF number IS DISTINCT FROM expected THEN
        RETURN opslog_open_segment(class_name);
    END IF;
    PERFORM opslog_prepare_segment(class_name);
    PERFORM pg_advisory_xact_lock(1869638657, hashtext(class_name));
    UPDATE segments AS s SET state = 'closed', closed_at = clock_timestamp()
     WHERE s.segment = expected AND s.state = 'open';
    IF FOUND THEN
        UPDATE segments AS s SET state = 'open', opened_at = clock_timestamp()
         WHERE s.class = class_name AND s.state = 'ready';
    END IF;
    SELECT s.segment INTO STRICT number FROM segments AS s
     WHERE s.class = class_name AND s.state = 'open';
    RETURN number;
END $$;

-- Sums up closed segments that have no figures yet: rows, bytes, zone map, from ingest_parts.
-- Rows: how many were summed up. No writer can add to them any more, so the figures are final.
-- Uses: storage/segments/rollover.py, after each roll-over and, for what a crash left, at every pass.
CREATE FUNCTION opslog_settle_segments() RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
    settled integer;
BEGIN
    UPDATE segments AS s
       SET (rows, bytes, min_created_at, max_created_at, odd_times, min_received_at,
            max_received_at)
         = (SELECT coalesce(sum(p.rows), 0), coalesce(sum(p.bytes), 0), min(p.min_created_at),
                   max(p.max_created_at), coalesce(sum(p.odd_times), 0), min(p.received_at),
                   max(p.received_at)
              FROM ingest_parts AS p
             WHERE p.segment = s.segment)
     WHERE s.state = 'closed' AND s.rows IS NULL;
    GET DIAGNOSTICS settled = ROW_COUNT;
    RETURN settled;
END $$;

-- ---------------------------------------------------------------------------------------------
-- The ledger that shows changes; what came and what became of it; ids of audit records.
-- ---------------------------------------------------------------------------------------------

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

-- ---------------------------------------------------------------------------------------------
-- What retention did, is asked to do, and must not do.
-- ---------------------------------------------------------------------------------------------

-- One row per run of a job that takes records away or moves them.
CREATE TABLE retention_runs (
    run_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL CHECK (kind IN ('expire', 'limit', 'merge', 'purge')),
    asked_by    text NOT NULL,
    began_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at    timestamptz,
    outcome     text NOT NULL DEFAULT 'running'
        CHECK (outcome IN ('running', 'done', 'stopped')),
    note        text NOT NULL DEFAULT '',
    policy      jsonb NOT NULL
);
CREATE INDEX retention_runs_began ON retention_runs (began_at);

-- What a run did to one segment, in the transaction in which it did it. Only ever added to.
CREATE TABLE retention_steps (
    run_id      bigint NOT NULL REFERENCES retention_runs,
    segment     integer NOT NULL,
    class       text NOT NULL,
    action      text NOT NULL
        CHECK (action IN ('retire',    -- gone with all its rows, but for those carried over
                          'merge',     -- its rows are in `to_segment`
                          'purge')),   -- its rows are gone but for those in `to_segment`
    rule        text NOT NULL,         -- that set the time, or the purge's number
    rows        bigint NOT NULL,       -- rows taken away; of a merge: moved
    bytes       bigint NOT NULL,       -- COPY bytes of them
    root        bytea,                 -- of the segment as it was: Merkle root over its rows
    to_segment  integer,
    kept_rows   bigint NOT NULL,       -- rows that are in `to_segment` now
    newest      timestamptz,           -- its newest arrival
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, segment)
);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON retention_steps
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
ALTER TABLE retention_steps ENABLE ALWAYS TRIGGER refuse_change;

-- The rule in force for each class, as the last run found it; outlives the rule's removal.
CREATE TABLE retention_classes (
    class       text PRIMARY KEY,
    rule        text NOT NULL,
    keep        interval NOT NULL,
    floor       interval NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What is known of the true time, so that a clock that was set wrong drops nothing.
CREATE TABLE retention_clock (
    only_one    boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    state       jsonb NOT NULL,
    observed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Legal holds. Neither changes; a hold ends by its release or at its date.
CREATE TABLE holds (
    hold_id     integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    filter      jsonb NOT NULL,
    shown       text NOT NULL,
    why         text NOT NULL CHECK (length(why) BETWEEN 1 AND 2000),
    made_by     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    ends_at     timestamptz
);
CREATE TABLE hold_releases (
    hold_id     integer PRIMARY KEY REFERENCES holds,
    why         text NOT NULL CHECK (length(why) BETWEEN 1 AND 2000),
    released_by text NOT NULL,
    released_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Waits for whoever is deciding what goes, so that a hold is seen by it or comes before it.
-- Uses: triggers on holds and hold_releases; retention/expiry/run.py takes the same lock.
CREATE FUNCTION opslog_before_hold() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1869638663, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER wait_for_plan BEFORE INSERT ON holds
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_before_hold();

-- A purge that was asked for, with what it would do; done only when it is confirmed in time.
CREATE TABLE purges (
    purge_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_hash  bytea NOT NULL UNIQUE,
    filter      jsonb NOT NULL,
    shown       text NOT NULL,
    why         text NOT NULL CHECK (length(why) BETWEEN 1 AND 2000),
    asked_by    text NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz NOT NULL,
    plan        jsonb NOT NULL
);
CREATE TABLE purge_confirmations (
    purge_id     bigint PRIMARY KEY REFERENCES purges,
    confirmed_by text NOT NULL,
    confirmed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- Where it stands; the only one of the three that changes, and only by retention's hand.
CREATE TABLE purge_results (
    purge_id    bigint PRIMARY KEY REFERENCES purges,
    run_id      bigint NOT NULL,
    rows        bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    done_at     timestamptz
);

-- Tells the worker that somebody wants something of it.
-- Uses: trigger on purge_confirmations; heard by retention/jobs/worker.py.
CREATE FUNCTION opslog_tell_retention() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('opslog_retention', '');
    RETURN NULL;
END $$;
CREATE TRIGGER tell_retention AFTER INSERT ON purge_confirmations
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_tell_retention();

-- Makes a leaf that belongs to nobody yet: table, trigger, rights; no index, not attached.
-- segment_number   taken from segment_numbers
-- Uses: storage/segments/rewriting.py, which fills it, indexes it and puts it in the place of others.
CREATE FUNCTION opslog_make_bare_leaf(segment_number integer) RETURNS void
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    leaf text := format('system_logs_s%s', segment_number);
BEGIN
    -- The CHECK is what the parent will ask for, so that attaching it reads no row.
    EXECUTE format(
        'CREATE TABLE %I (LIKE system_logs INCLUDING DEFAULTS, CHECK (segment = %s)) WITH
             (fillfactor = 100, autovacuum_enabled = off, toast.autovacuum_enabled = off)',
        leaf, segment_number);
    EXECUTE format('ALTER TABLE %I ALTER COLUMN segment SET DEFAULT %s', leaf, segment_number);
    EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON %I
                        FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change()', leaf);
    EXECUTE format('ALTER TABLE %I ENABLE ALWAYS TRIGGER refuse_change', leaf);
    IF to_regrole('opslog_writer') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON %I TO opslog_writer', leaf);
    END IF;
    IF to_regrole('opslog_reader') IS NOT NULL THEN
        EXECUTE format('GRANT SELECT ON %I TO opslog_reader', leaf);
    END IF;
END $$;

-- What the hourly comparison of figures with counted rows found. Only ever added to.
-- Uses: storage/ledger/accounting/checks.py; read by the worker's health and by the API.
CREATE TABLE ledger_checks (
    check_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at    timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows        bigint NOT NULL,    -- counted, over all segments that are there
    segments    integer NOT NULL,
    differences text[] NOT NULL     -- in words; none: it balances
);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checks
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
ALTER TABLE ledger_checks ENABLE ALWAYS TRIGGER refuse_change;

REVOKE ALL ON FUNCTION opslog_refuse_change(), opslog_tell_catalogue(), opslog_make_leaf(integer),
    opslog_prepare_segment(text), opslog_open_segment(text), opslog_enter_segments(text[]),
    opslog_roll_segment(text, integer), opslog_settle_segments(), opslog_before_hold(),
    opslog_tell_retention(), opslog_make_bare_leaf(integer) FROM PUBLIC;

-- When browsers logged out, so that every query server knows, also after a restart.
-- Uses: storage/access/session_ends.py, which forgets a row when no session of its token can hold.
CREATE TABLE session_ends (
    token     text PRIMARY KEY,     -- first 16 hex digits of the token's SHA-256
    ended_at  timestamptz NOT NULL, -- sessions that were begun until then are over
    forget_at timestamptz NOT NULL  -- the token's own end
);
