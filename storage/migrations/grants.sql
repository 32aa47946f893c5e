-- The rights of opslog_writer and opslog_reader. Not numbered: storage/migrate.py applies it after
-- every `up`, as the owner of the tables, so that roles made later get their rights as well.
-- Rule: the writer adds and never takes away; the reader reads, but no hashes of keys.
-- Whoever adds a table adds its line here; a test lists every table without one.
DO $$
DECLARE
    leaf regclass;
BEGIN
    IF to_regrole('opslog_writer') IS NOT NULL THEN
        GRANT SELECT, INSERT ON system_logs, log_streams, spools, ingest_batches, ingest_parts,
            dead_letters TO opslog_writer;
        GRANT INSERT ON batch_secrets TO opslog_writer;  -- batch_keys: the owner only
        GRANT UPDATE (state, note) ON dead_letters TO opslog_writer;             -- replay
        GRANT SELECT, INSERT, UPDATE ON log_counts, log_counts_hourly, ingest_minutes
            TO opslog_writer;
        GRANT SELECT, INSERT ON ledger_in, audit_records TO opslog_writer;
        GRANT SELECT ON ledger, ledger_nodes, ledger_checkpoints TO opslog_writer;
        GRANT EXECUTE ON FUNCTION opslog_sequence(bigint, bigint[], bytea[], smallint[], bigint[],
            bytea[], text) TO opslog_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ingest_requests TO opslog_writer;  -- a memory
        GRANT SELECT ON segments, ingest_keys, schema_migrations, installation TO opslog_writer;
        -- What people ask of retention through the API; done by the owner's worker.
        GRANT SELECT, INSERT ON holds, hold_releases, purges, purge_confirmations TO opslog_writer;
        GRANT SELECT ON purge_results TO opslog_writer;
        GRANT UPDATE (last_used_at) ON ingest_keys TO opslog_writer;
        GRANT EXECUTE ON FUNCTION opslog_prepare_segment(text), opslog_open_segment(text),
            opslog_enter_segments(text[]), opslog_roll_segment(text, integer),
            opslog_settle_segments() TO opslog_writer;
        -- Leaves get their rights when they are made; this is for those older than the role.
        FOR leaf IN SELECT i.inhrelid::regclass FROM pg_inherits AS i
                     WHERE i.inhparent = 'system_logs'::regclass
                       AND NOT has_table_privilege('opslog_writer', i.inhrelid, 'INSERT') LOOP
            EXECUTE format('GRANT SELECT, INSERT ON %s TO opslog_writer', leaf);
        END LOOP;
    END IF;
    IF to_regrole('opslog_reader') IS NOT NULL THEN
        GRANT SELECT ON ledger_in, ledger, ledger_nodes, ledger_checkpoints, ingest_minutes,
            audit_records, ledger_checks, session_ends TO opslog_reader;
        GRANT SELECT ON system_logs, segments, log_streams, spools, ingest_batches, ingest_parts,
            ingest_requests, log_counts, log_counts_hourly, dead_letters, schema_migrations,
            retention_runs, retention_steps, retention_classes, retention_clock, holds,
            hold_releases, purge_confirmations, purge_results, installation TO opslog_reader;
        GRANT EXECUTE ON FUNCTION opslog_row_nonces(bigint, text, integer[]) TO opslog_reader;
        GRANT SELECT (purge_id, filter, shown, why, asked_by, asked_at, expires_at, plan)
            ON purges TO opslog_reader;  -- the token is nobody's business
        GRANT SELECT (ingest_key_id, name, hint, made_at, made_by, expires_at, revoked_at,
            rotated_from, last_used_at, rights, attributes, min_level, records_per_s, bytes_per_s)
            ON ingest_keys TO opslog_reader;
        FOR leaf IN SELECT i.inhrelid::regclass FROM pg_inherits AS i
                     WHERE i.inhparent = 'system_logs'::regclass
                       AND NOT has_table_privilege('opslog_reader', i.inhrelid, 'SELECT') LOOP
            EXECUTE format('GRANT SELECT ON %s TO opslog_reader', leaf);
        END LOOP;
    END IF;
END $$;
