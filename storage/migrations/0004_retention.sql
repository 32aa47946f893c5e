-- What retention adds: more about segments, records of what it did, holds, purges, its clock.
-- Forward only; runs as the owner role inside one transaction (storage/migrate.py). An opslog of
-- the release before reads and writes on: it knows no segment of the new state, and none is made
-- by it.
SET LOCAL lock_timeout = '4s';

-- Between 'sealed' and 'dropped': no question may go there any more, the leaf is about to vanish.
ALTER TABLE segments DROP CONSTRAINT segments_state_check;
ALTER TABLE segments ADD CONSTRAINT segments_state_check CHECK (state IN (
    'ready', 'open', 'closed', 'sealed', 'cold', 'retiring', 'dropped'));
ALTER TABLE segments
    ADD COLUMN is_hold     boolean NOT NULL DEFAULT false,
    ADD COLUMN replaced_by integer,
    ADD COLUMN finished_at timestamptz,
    ADD COLUMN seal_ms     integer,
    ADD COLUMN disk_bytes  bigint,
    ADD COLUMN damage      text;

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
-- Uses: triggers on holds and hold_releases; retention/run.py takes the same lock.
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
-- Uses: trigger on purge_confirmations; heard by retention/worker.py.
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
-- Uses: storage/rewriting.py, which fills it, indexes it and puts it in the place of others.
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

REVOKE ALL ON FUNCTION opslog_before_hold(), opslog_tell_retention(),
    opslog_make_bare_leaf(integer) FROM PUBLIC;
