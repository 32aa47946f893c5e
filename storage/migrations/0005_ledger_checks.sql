-- What the hourly comparison of figures with counted rows found. Only ever added to.
-- Uses: storage/ledger/checks.py; read by the worker's health and by the API.
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
