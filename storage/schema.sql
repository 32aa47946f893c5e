-- The complete schema after all migrations, for reading. It is only executed by
-- tests/integration/storage/test_schema.py, which compares the result with that of the migrations.
-- Grants are in migrations/grants.sql, roles in storage/database/roles.py, leaves in opslog_make_leaf.

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
    nonce           bytea,
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
        CHECK (state IN ('ready',     -- leaf created and attached in advance, no rows yet
                         'open',      -- the one to which writers of its class add rows
                         'closed',    -- rolled over; never changes again; waits to be packed
                         'sealed',    -- closed, by a release before packs; packed like those
                         'packed',    -- its rows are in a pack; its leaf is gone, or goes soon
                         'retiring',  -- no longer read; its leaf or pack is about to be removed
                         'dropped')), -- leaf or pack removed; the row stays as the record of it
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
    dropped_at      timestamptz,
    digest          bytea,
    traces          bytea,            -- reserved for a filter of trace ids (billions of rows)
    is_hold         boolean NOT NULL DEFAULT false,  -- rows that only legal holds keep
    replaced_by     integer,          -- the segment that has its rows now, after a rewrite
    damage          text,             -- what packing found; packed by hand only, from then on
    packed_at       timestamptz,
    data_bytes      bigint,           -- of the pack's data file
    index_bytes     bigint,           -- of its index
    data_hash       bytea,            -- SHA-256 of the data file
    index_hash      bytea,            -- SHA-256 of the index
    pack_ms         integer,          -- duration of packing, to estimate the backlog
    leaf_dropped    boolean NOT NULL DEFAULT false,  -- the leaf of a packed segment is gone
    parts_dropped   boolean NOT NULL DEFAULT false,  -- ingest_parts has none of it any more
    files_dropped   boolean NOT NULL DEFAULT false,  -- the files of a dropped pack are gone
    claimed_until   timestamptz       -- a packer works on it until then
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

-- One row per stored request, claimed in the transaction of its rows.
CREATE TABLE ingest_batches (
    batch_id         bigint PRIMARY KEY,
    received_at      timestamptz NOT NULL,
    stored_at        timestamptz NOT NULL DEFAULT now(),
    spool_id         integer NOT NULL,
    ingest_key_id    integer NOT NULL,
    encoding_version smallint NOT NULL,
    signal           text NOT NULL,          -- logs, traces, audit
    request_hash     bytea NOT NULL,
    duplicate_of     bigint,                 -- the batch that has the rows, if this is a duplicate
    received         integer NOT NULL,       -- records in the request
    derived          integer NOT NULL,       -- rows derived from others
    stored           integer NOT NULL,
    duplicate        integer NOT NULL,
    dead             integer NOT NULL,       -- rows in dead_letters
    rejected         jsonb NOT NULL          -- reason -> count
);
CREATE INDEX ingest_batches_received ON ingest_batches USING brin (received_at);

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

-- The rows of one batch in one segment, with their hash, computed before they were stored.
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

-- Recent requests, to detect retries. Deleted after otlp.duplicate_window_s.
CREATE TABLE ingest_requests (
    request_hash    bytea PRIMARY KEY,
    batch_id        bigint NOT NULL,
    received_at     timestamptz NOT NULL
);
CREATE INDEX ingest_requests_received ON ingest_requests (received_at);

-- Rows per minute and hour, in the transaction of the rows; deleted with their segment.
-- `spool_id` prevents contention between writers: no two update the same row.
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

-- Rows that PostgreSQL rejected, redacted, with the reason; replayable.
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

-- Ingest keys of senders. Only the hash is stored; the key is shown once.
CREATE TABLE ingest_keys (
    ingest_key_id   integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name            text NOT NULL,
    key_hash        bytea NOT NULL UNIQUE,  -- SHA-256 of the key
    hint            text NOT NULL,          -- first characters, to tell keys apart
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
-- Creating, opening and rolling over segments; protection of records; notifications.
-- Advisory locks, in locking order (storage/database/locks.py has the same numbers):
--   1869638658, hashtext(class)   creating the next leaf of a class, one at a time
--   1869638657, hashtext(class)   the gate: shared by writers, exclusive for a rollover
-- ---------------------------------------------------------------------------------------------

-- Rejects every statement that would change stored records, for all roles.
-- Uses: trigger `refuse_change` on system_logs and on every leaf.
CREATE FUNCTION opslog_refuse_change() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% on % is refused: stored records do not change', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege',
              HINT = 'Retention removes whole segments; nothing changes or deletes a single row.';
END $$;

-- Per statement, so that it does not slow down INSERT and fires even if no row matches.
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON system_logs
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
-- ALWAYS: also if session_replication_role = 'replica' disables ordinary triggers.
ALTER TABLE system_logs ENABLE ALWAYS TRIGGER refuse_change;

-- Notifies every copy of the catalogue that `segments` has changed.
-- Uses: trigger `tell_catalogue`; received by storage/segments/catalogue.py.
CREATE FUNCTION opslog_tell_catalogue() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('opslog_segments', '');
    RETURN NULL;
END $$;

CREATE TRIGGER tell_catalogue AFTER INSERT OR UPDATE OR DELETE ON segments
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_tell_catalogue();

-- Creates the leaf of one segment: table, indexes of an open segment, trigger, grants, ATTACH.
-- segment_number   taken from segment_numbers, so no external text reaches an identifier
-- Cost: 25-60 ms. CREATE ... PARTITION OF would block readers behind any long read; attaching a
-- finished table does not.
-- Uses: opslog_prepare_segment only.
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

-- The ready segment of a class; creates it if there is none.
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

-- The open segment of a class; opens the ready one, or creates one, if there is none.
-- class_name   retention class
-- Rows: its number. Call it in its own transaction: others see the segment after the commit, and
-- wait until then.
-- Uses: storage/segments/rollover.py, for a class that opslog_enter_segments did not return.
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
-- returned segments can be rolled over.
-- classes   retention classes of the rows that the transaction will store
-- Rows: class and number of its open segment; classes without an open one are omitted.
-- READ COMMITTED only: the state must be read after entering the gate.
-- Uses: storage/segments/rollover.py, enter_segments. Sorted, so that two writers never deadlock.
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
-- expected     the segment to close; if another one is open, it was already rolled over
-- Rows: the number of the open segment afterwards. Waits at most 1 s for running writers (SQLSTATE
-- 55P03 after that), since new ones queue behind it; the lock is then held for two updates.
-- The totals of the closed segment are not summed under the lock but by opslog_settle_segments.
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

-- Computes the totals of closed segments that have none: rows, bytes, zone map, from ingest_parts.
-- Rows: their number. No writer can add to them any more, so the totals are final.
-- Uses: storage/segments/rollover.py, after each rollover and, after a crash, at every pass.
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
-- The tamper-evident ledger; the accounting of ingest; ids of audit records.
-- ---------------------------------------------------------------------------------------------

-- Entries that are not yet numbered, added in the transaction of the change that they record. Writers
-- do not number them: a chain maintained by writers would serialize their transactions.
CREATE TABLE ledger_in (
    in_id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind        text NOT NULL,          -- storage/ledger/entries.py
    body        text NOT NULL,          -- JSON; text, because its bytes are hashed
    batch_id    bigint,                 -- of kind data
    made_at     timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The ledger. hash = SHA-256(0x00, entry), where the entry contains the previous hash, so that the
-- hashes are both a chain and the leaves of a Merkle tree (RFC 9162).
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

-- Roots of complete subtrees of 256 leaves, of 256 of those, and so on: a proof of one entry among a
-- billion reads a few thousand rows. They are derived from `ledger` and prove nothing by themselves.
CREATE TABLE ledger_nodes (
    height      smallint NOT NULL,      -- 8, 16, 24 …
    place       bigint NOT NULL,
    hash        bytea NOT NULL,
    PRIMARY KEY (height, place)
);

-- Signed heads: the newest of each minute. All heads are published outside the database.
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

-- Moves waiting entries to the ledger, with the head that covers them.
-- first_seq     number of the first; must be the next one (else SQLSTATE 40001)
-- in_ids, hashes   the entries in order, and the hash of each
-- heights, places, nodes   subtrees that are now complete
-- note          the signed head, of `first_seq` plus the number of entries
-- Uses: storage/ledger/sequencer.py. The writer role may call it, but may not delete waiting entries:
-- an entry leaves ledger_in only for the ledger.
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

-- Ingest counters per minute of arrival, in the transaction of the rows.
-- received + derived = stored + duplicate + dead + rejected, for each minute, key and module.
-- `spool_id` prevents contention between writers: no two update the same row.
CREATE TABLE ingest_minutes (
    minute          timestamptz NOT NULL,
    ingest_key_id   integer NOT NULL,
    source_module   varchar(50) NOT NULL,   -- '' where a rejected record has none
    reason          text NOT NULL,          -- of `rejected`; '' in the row of all other counters
    spool_id        integer NOT NULL,
    received        bigint NOT NULL,
    derived         bigint NOT NULL,
    stored          bigint NOT NULL,
    duplicate       bigint NOT NULL,
    dead            bigint NOT NULL,        -- in dead_letters; a replay subtracts them
    rejected        bigint NOT NULL,
    PRIMARY KEY (minute, ingest_key_id, source_module, reason, spool_id)
) WITH (fillfactor = 70);

-- Audit records by the sender's id, in the transaction of the rows.
CREATE TABLE audit_records (
    record_id       text PRIMARY KEY,       -- audit.record.id
    content         bytea NOT NULL,         -- SHA-256 of the record as sent
    id              uuid NOT NULL,          -- of the row
    batch_id        bigint NOT NULL,
    leaf            bytea NOT NULL,         -- its leaf hash, as in the receipt
    received_at     timestamptz NOT NULL
);

-- ---------------------------------------------------------------------------------------------
-- Retention: history, holds, purges.
-- ---------------------------------------------------------------------------------------------

-- One row per run of a job that removes or moves records.
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

-- The step of a run for one segment, in the transaction of the change. Append-only.
CREATE TABLE retention_steps (
    run_id      bigint NOT NULL REFERENCES retention_runs,
    segment     integer NOT NULL,
    class       text NOT NULL,
    action      text NOT NULL
        CHECK (action IN ('retire',    -- dropped with all its rows, except those in `to_segment`
                          'merge',     -- its rows are in `to_segment`
                          'purge')),   -- its rows are removed, except those in `to_segment`
    rule        text NOT NULL,         -- the retention rule, or the purge's number
    rows        bigint NOT NULL,       -- rows removed; of a merge: moved
    bytes       bigint NOT NULL,       -- COPY bytes of them
    root        bytea,                 -- of the segment before: Merkle root over its rows
    to_segment  integer,
    kept_rows   bigint NOT NULL,       -- rows that are in `to_segment` now
    newest      timestamptz,           -- its newest arrival
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, segment)
);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON retention_steps
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
ALTER TABLE retention_steps ENABLE ALWAYS TRIGGER refuse_change;

-- The rule of each class, as of the last run; kept after the rule is removed.
CREATE TABLE retention_classes (
    class       text PRIMARY KEY,
    rule        text NOT NULL,
    keep        interval NOT NULL,
    floor       interval NOT NULL,
    since       timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The clock state, so that a wrong system clock does not expire records.
CREATE TABLE retention_clock (
    only_one    boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    state       jsonb NOT NULL,
    observed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Legal holds. Both tables are immutable; a hold ends by its release or at its date.
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

-- Waits for a run that is planning removals, so that it either includes the hold or precedes it.
-- Uses: triggers on holds and hold_releases; retention/expiry/run.py takes the same lock.
CREATE FUNCTION opslog_before_hold() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1869638663, 0);
    RETURN NULL;
END $$;
CREATE TRIGGER wait_for_plan BEFORE INSERT ON holds
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_before_hold();

-- A requested purge with its preview; executed only if it is confirmed in time.
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
-- Its progress; the only one of the three that changes, and only by retention.
CREATE TABLE purge_results (
    purge_id    bigint PRIMARY KEY REFERENCES purges,
    run_id      bigint NOT NULL,
    rows        bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    done_at     timestamptz
);

-- Notifies the worker of a confirmed purge.
-- Uses: trigger on purge_confirmations; received by retention/jobs/worker.py.
CREATE FUNCTION opslog_tell_retention() RETURNS trigger
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM pg_notify('opslog_retention', '');
    RETURN NULL;
END $$;
CREATE TRIGGER tell_retention AFTER INSERT ON purge_confirmations
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_tell_retention();

-- Creates a bare leaf: table, trigger, grants; no index, not attached.
-- segment_number   taken from segment_numbers
-- Uses: storage/segments/rewriting.py, which fills and indexes it and replaces others by it.
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

-- Results of the hourly comparison of counters with counted rows. Append-only.
-- Uses: storage/ledger/accounting/checks.py; read by the worker's health and by the API.
CREATE TABLE ledger_checks (
    check_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at    timestamptz NOT NULL,
    ended_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    rows        bigint NOT NULL,    -- counted, over all existing segments
    segments    integer NOT NULL,
    differences text[] NOT NULL     -- as text; empty if balanced
);
CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_checks
    FOR EACH STATEMENT EXECUTE FUNCTION opslog_refuse_change();
ALTER TABLE ledger_checks ENABLE ALWAYS TRIGGER refuse_change;

REVOKE ALL ON FUNCTION opslog_refuse_change(), opslog_tell_catalogue(), opslog_make_leaf(integer),
    opslog_prepare_segment(text), opslog_open_segment(text), opslog_enter_segments(text[]),
    opslog_roll_segment(text, integer), opslog_settle_segments(), opslog_before_hold(),
    opslog_tell_retention(), opslog_make_bare_leaf(integer), opslog_hmac(bytea, bytea),
    opslog_row_nonces(bigint, text, integer[]) FROM PUBLIC;

-- Logouts of browser sessions, shared by all query servers and kept across restarts.
-- Uses: storage/access/session_ends.py, which deletes a row when its token has expired.
CREATE TABLE session_ends (
    token     text PRIMARY KEY,     -- first 16 hex digits of the token's SHA-256
    ended_at  timestamptz NOT NULL, -- sessions started before have ended
    forget_at timestamptz NOT NULL  -- expiry of the token
);

-- Which installation this database belongs to; the folder of its packs carries the same id.
CREATE TABLE installation (
    only_one        boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    installation_id uuid NOT NULL DEFAULT gen_random_uuid(),
    made_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    packs_made_at   timestamptz     -- when their folder got its marker: made only once
);
