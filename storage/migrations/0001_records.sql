-- Records by segments, their catalogue, streams, batches, counts, dead letters, keys, spools.
-- Forward only; runs as the owner role inside one transaction (storage/migrate.py).
SET LOCAL lock_timeout = '4s';

CREATE TYPE log_level AS ENUM ('DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL');

-- One row per log record, span or audit record. Columns: storage/columns.py, in the same order.
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
    traces          bytea             -- room for a filter of trace ids (billions of rows)
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
