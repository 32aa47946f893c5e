-- Statements of retention. Those that name a leaf are in leaves.sql.

-- name: inserted_rows
-- Rows ever inserted into this database; the difference between two readings is the load.
-- Uses: retention/safety/load.py.
SELECT pg_stat_get_db_tuples_inserted(oid) FROM pg_database WHERE datname = current_database();

-- name: try_lock
-- Take an advisory lock for the rest of the session.
-- $1 space     integer   storage/database/locks.py
-- $2 key       integer
-- Rows: whether it was free. Uses: retention/safety/locks.py.
SELECT pg_try_advisory_lock($1, $2);

-- name: unlock
-- $1 space     integer
-- $2 key       integer
-- Uses: retention/safety/locks.py.
SELECT pg_advisory_unlock($1, $2);

-- name: detaching
-- $1 table     text
-- Rows: whether detaching the leaf is pending; none if it is detached.
-- Uses: storage/segments/dropping.py.
SELECT inhdetachpending FROM pg_inherits
 WHERE inhrelid = to_regclass($1) AND inhparent = 'system_logs'::regclass;

-- name: attached_of
-- $1 tables    text[]    leaves
-- Rows: segment of those that are attached. Uses: storage/segments/dropping.py, when no detach is
-- pending.
SELECT replace(c.relname, 'system_logs_s', '')::integer AS segment
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'system_logs'::regclass AND c.relname = ANY ($1)
 ORDER BY 1;

-- name: lock_parent
-- Lock system_logs exclusively, or fail at once (55P03). Uses: storage/segments/dropping.py.
LOCK TABLE ONLY system_logs IN ACCESS EXCLUSIVE MODE NOWAIT;

-- name: half_detached
-- Leaves with an interrupted DETACH.
-- Rows: segment. Uses: storage/segments/dropping.py.
SELECT replace(c.relname, 'system_logs_s', '')::integer AS segment
  FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
 WHERE i.inhparent = 'system_logs'::regclass AND i.inhdetachpending;

-- name: blocking_transaction
-- The oldest transaction with a lock on system_logs or a part of it (times of other roles are only
-- visible to members of pg_read_all_stats).
-- Rows: pid, usename, application_name, age_s (NULL: not shown). Uses: storage/segments/dropping.py.
SELECT a.pid, a.usename, a.application_name,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age_s
  FROM pg_locks AS l
  JOIN pg_stat_activity AS a USING (pid)
  JOIN pg_class AS c ON c.oid = l.relation
 WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND l.granted AND l.pid <> pg_backend_pid()
   AND c.relname ~ '^system_logs' AND c.relkind IN ('r', 'p')
 ORDER BY a.xact_start NULLS FIRST, a.backend_start
 LIMIT 1;

-- name: read_clock
-- The clock state, locked until the transaction ends; creates the row on first use.
-- Rows: state (JSON text, NULL on first use). Uses: retention/safety/clock.py.
INSERT INTO retention_clock (state) VALUES ('null')
ON CONFLICT (only_one) DO UPDATE SET observed_at = clock_timestamp()
RETURNING nullif(state, 'null')::text AS state;

-- name: keep_clock
-- $1 state     text      JSON
-- Uses: retention/safety/clock.py, after read_clock.
UPDATE retention_clock SET state = $1::jsonb;

-- name: stored_segments
-- Every segment that has, or may get, records. For an open one, `oldest` is its first arrival.
-- Rows: the columns of retention.policy.plan.Stored, by number. Uses: retention/policy/catalogue.py.
SELECT s.segment,
       s.class AS class_name,
       s.state,
       coalesce(s.rows, c.rows, 0)::bigint AS rows,
       coalesce(s.bytes, c.bytes, 0)::bigint AS size,
       s.data_bytes + s.index_bytes AS disk_bytes,
       coalesce(s.min_received_at, p.oldest) AS oldest,
       s.max_received_at AS newest,
       s.closed_at,
       s.digest,
       s.is_hold
  FROM segments AS s
 CROSS JOIN LATERAL (SELECT sum(h.rows) AS rows, sum(h.bytes) AS bytes
                       FROM log_counts_hourly AS h
                      WHERE h.segment = s.segment AND s.rows IS NULL) AS c
 CROSS JOIN LATERAL (SELECT min(i.received_at) AS oldest
                       FROM ingest_parts AS i
                      WHERE i.segment = s.segment AND s.state = 'open') AS p
 WHERE s.state IN ('open', 'closed', 'sealed', 'packed')
   AND (s.state = 'open' OR s.rows IS NOT NULL)
 ORDER BY s.segment;

-- name: recorded_policies
-- The rules of the last run. Rows: class, rule, keep, floor. Uses: retention/policy/catalogue.py.
SELECT class, rule, keep, floor FROM retention_classes ORDER BY class;

-- name: record_policy
-- $1 class     text
-- $2 rule      text
-- $3 keep      interval
-- $4 floor     interval
-- Rows: none if nothing has changed. Uses: retention/policy/catalogue.py.
INSERT INTO retention_classes AS known (class, rule, keep, floor) VALUES ($1, $2, $3, $4)
ON CONFLICT (class) DO UPDATE
   SET rule = excluded.rule, keep = excluded.keep, floor = excluded.floor,
       since = clock_timestamp()
 WHERE (known.rule, known.keep, known.floor)
       IS DISTINCT FROM (excluded.rule, excluded.keep, excluded.floor)
RETURNING class;

-- name: begin_run
-- $1 kind      text      expire, limit, merge, purge
-- $2 trigger   text      schedule, or the user
-- $3 policy    text      JSON: class -> rule and times
-- Rows: run_id. Uses: retention/segments/runs.py.
INSERT INTO retention_runs (kind, asked_by, policy) VALUES ($1, $2, $3::jsonb) RETURNING run_id;

-- name: end_run
-- $1 run_id    bigint
-- $2 outcome   text      done, stopped
-- $3 note      text
-- Uses: retention/segments/runs.py.
UPDATE retention_runs SET outcome = $2, note = $3, ended_at = clock_timestamp() WHERE run_id = $1;

-- name: end_broken_runs
-- Runs whose process was killed; the caller holds the lock of a running one.
-- Uses: retention/segments/runs.py.
UPDATE retention_runs
   SET outcome = 'stopped', note = 'its process ended; the next run went on',
       ended_at = clock_timestamp()
 WHERE outcome = 'running';

-- name: mark_retiring
-- Exclude segments from queries before they are dropped.
-- $1 segments  integer[]
-- Uses: retention/expiry/run.py.
UPDATE segments SET state = 'retiring'
 WHERE segment = ANY ($1) AND state IN ('closed', 'sealed', 'packed');

-- name: unmark_retiring
-- Return a segment to queries.
-- $1 segment   integer
-- Uses: storage/segments/dropping.py, retention/segments/spare.py.
UPDATE segments SET state = CASE WHEN packed_at IS NULL THEN 'closed' ELSE 'packed' END
 WHERE segment = $1 AND state = 'retiring' AND replaced_by IS NULL;

-- name: newest_hold
-- Rows: the highest id; ids are assigned in order, since inserts are serialized by a lock.
-- Uses: retention/segments/spare.py.
SELECT coalesce(max(hold_id), 0) FROM holds;

-- name: retiring_segments
-- Segments that a run has begun to remove, oldest first.
-- Rows: the columns of retention.policy.plan.Stored, replaced_by, may_go: a pack that was merged
-- stays for an hour, for running readers; has_leaf: whether there is a leaf to
-- drop; is_packed, data_hash.
-- Uses: retention/expiry/run.py, retention/segments/spare.py, retention/reporting/status.py.
SELECT s.segment, s.class AS class_name, s.state, coalesce(s.rows, 0) AS rows,
       coalesce(s.bytes, 0) AS size, s.data_bytes + s.index_bytes AS disk_bytes,
       s.min_received_at AS oldest,
       s.max_received_at AS newest, s.closed_at, s.digest, s.is_hold, s.replaced_by,
       coalesce(r.packed_at < clock_timestamp() - interval '1 hour', true) AS may_go,
       NOT s.leaf_dropped AS has_leaf, s.packed_at IS NOT NULL AS is_packed, s.data_hash
  FROM segments AS s
  LEFT JOIN segments AS r ON r.segment = s.replaced_by AND r.segment <> s.segment
 WHERE s.state = 'retiring'
 ORDER BY s.max_received_at, s.segment;

-- name: mark_dropped
-- Mark segments as dropped and delete their counts and parts.
-- $1 segments  integer[]
-- Uses: retention/segments/retire.py, in the transaction of the DROP.
WITH counts AS (DELETE FROM log_counts WHERE segment = ANY ($1)),
     hours AS (DELETE FROM log_counts_hourly WHERE segment = ANY ($1)),
     parts AS (DELETE FROM ingest_parts WHERE segment = ANY ($1))
UPDATE segments SET state = 'dropped', dropped_at = clock_timestamp(), leaf_dropped = true
 WHERE segment = ANY ($1);

-- name: add_step
-- $1 run_id, $2 segment, $3 class, $4 action, $5 rule, $6 rows, $7 bytes, $8 root, $9 to_segment,
-- $10 kept_rows, $11 newest
-- Uses: retention/segments/runs.py, in the transaction of the change that it records.
INSERT INTO retention_steps (run_id, segment, class, action, rule, rows, bytes, root, to_segment,
       kept_rows, newest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11);

-- name: forget_batches
-- Delete batches without remaining rows, with their secrets, in pieces; their counters stay in
-- ingest_minutes.
-- $1 before    timestamptz   received; before the first arrival of every remaining segment
-- $2 most      integer
-- Uses: retention/expiry/run.py.
WITH gone AS MATERIALIZED (
    SELECT batch_id FROM ingest_batches WHERE received_at < $1 LIMIT $2
), secrets AS (
    DELETE FROM batch_secrets WHERE batch_id IN (SELECT batch_id FROM gone)
), keys AS (
    DELETE FROM batch_keys WHERE batch_id IN (SELECT batch_id FROM gone)
)
DELETE FROM ingest_batches WHERE batch_id IN (SELECT batch_id FROM gone);

-- name: forget_dead_letters
-- Dead letters expire with their class.
-- $1 class     text
-- $2 before    timestamptz   received
-- Uses: retention/expiry/run.py.
DELETE FROM dead_letters WHERE class = $1 AND received_at < $2;

-- name: last_run
-- $1 kind      text
-- Rows: began_at, outcome of the last completed one. Uses: retention/reporting/status.py.
SELECT began_at, outcome FROM retention_runs
 WHERE kind = $1 AND outcome = 'done' ORDER BY began_at DESC LIMIT 1;

-- name: run_sums
-- $1 run_id    bigint
-- Rows: segments, rows, size of its steps. Uses: retention/segments/runs.py.
SELECT count(*) AS segments, coalesce(sum(rows), 0)::bigint AS rows,
       coalesce(sum(bytes), 0)::bigint AS size
  FROM retention_steps WHERE run_id = $1;

-- name: runs
-- $1 most      integer
-- $2 before    bigint    run_id of the last one shown; NULL: from the newest
-- Rows: one per run, with the sums of its steps. Uses: retention/reporting/history.py.
SELECT r.run_id, r.kind, r.asked_by AS trigger, r.began_at, r.ended_at, r.outcome, r.note,
       count(s.segment) AS segments, coalesce(sum(s.rows), 0)::bigint AS rows,
       coalesce(sum(s.bytes), 0)::bigint AS size
  FROM retention_runs AS r LEFT JOIN retention_steps AS s USING (run_id)
 WHERE $2::bigint IS NULL OR r.run_id < $2
 GROUP BY r.run_id
 ORDER BY r.run_id DESC
 LIMIT $1;

-- name: steps
-- $1 runs      bigint[]
-- Rows: the steps of these runs, one per segment. Uses: retention/reporting/history.py.
SELECT run_id, segment, class AS class_name, action, rule, rows, bytes AS size, root, to_segment,
       kept_rows, newest, at
  FROM retention_steps WHERE run_id = ANY ($1) ORDER BY run_id DESC, at, segment;

-- name: add_hold
-- $1 name text, $2 filter text (JSON), $3 shown text, $4 why text, $5 made by text, $6 ends timestamptz
-- Rows: hold_id. Waits for a run that is planning. Uses: retention/holding/holds.py.
INSERT INTO holds (name, filter, shown, why, made_by, ends_at)
VALUES ($1, $2::jsonb, $3, $4, $5, $6) RETURNING hold_id;

-- name: release_hold
-- $1 hold_id integer, $2 why text, $3 by text
-- Uses: retention/holding/holds.py.
INSERT INTO hold_releases (hold_id, why, released_by) VALUES ($1, $2, $3);

-- name: holds
-- All holds ever created, newest first. Rows: as retention.holding.holds.Hold.
-- Uses: retention/holding/holds.py.
SELECT h.hold_id, h.name, h.shown, h.why, h.made_by, h.made_at, h.ends_at, r.released_at,
       r.released_by, r.why AS released_why, h.filter::text AS filter
  FROM holds AS h LEFT JOIN hold_releases AS r USING (hold_id)
 ORDER BY h.hold_id DESC;

-- name: newest_expiry
-- The newest finished run, whatever its outcome. Rows: began_at, outcome. Uses: retention/jobs/maintain.py.
SELECT began_at, outcome FROM retention_runs
 WHERE kind = 'expire' AND outcome <> 'running' ORDER BY run_id DESC LIMIT 1;

-- name: segment_sizes
-- Size of every leaf with its indexes, and of every pack. Rows: segment, size.
-- Uses: retention/expiry/limit.py. A segment whose leaf is about to go counts as its pack alone.
SELECT s.segment,
       coalesce(s.data_bytes + s.index_bytes,
                pg_total_relation_size(to_regclass('system_logs_s' || s.segment)), 0) AS size
  FROM segments AS s
 WHERE s.state <> 'dropped';

-- name: request_purge
-- $1 token's hash bytea, $2 filter text (JSON), $3 shown text, $4 why text, $5 requested by text,
-- $6 requested at timestamptz, $7 expires at timestamptz, $8 plan text (JSON)
-- Rows: purge_id, expires_at. Uses: retention/purging/purge.py.
INSERT INTO purges (token_hash, filter, shown, why, asked_by, asked_at, expires_at, plan)
VALUES ($1, $2::jsonb, $3, $4, $5, $6, $7, $8::jsonb) RETURNING purge_id, expires_at;

-- name: confirm_purge
-- $1 token's hash bytea, $2 filter text (JSON), $3 by text
-- Rows: purge_id; none if the token is unknown or expired, or belongs to another filter.
-- Uses: retention/purging/purge.py.
INSERT INTO purge_confirmations (purge_id, confirmed_by)
SELECT purge_id, $3 FROM purges
 WHERE token_hash = $1 AND filter = $2::jsonb AND expires_at > clock_timestamp()
RETURNING purge_id;

-- name: confirmed_purges
-- Confirmed purges that are not done. Rows: purge_id, filter, why, requested_at, confirmed_by.
-- Uses: retention/purging/purge.py.
SELECT p.purge_id, p.filter::text AS filter, p.why, p.asked_at AS requested_at, c.confirmed_by
  FROM purges AS p
  JOIN purge_confirmations AS c USING (purge_id)
  LEFT JOIN purge_results AS r USING (purge_id)
 WHERE r.done_at IS NULL
 ORDER BY p.purge_id;

-- name: begin_purge
-- $1 purge_id bigint, $2 run_id bigint
-- Uses: retention/purging/purge.py; again after an interruption.
INSERT INTO purge_results AS known (purge_id, run_id) VALUES ($1, $2)
ON CONFLICT (purge_id) DO UPDATE SET run_id = excluded.run_id;

-- name: note_purged
-- $1 purge_id bigint, $2 rows bigint, $3 bytes bigint
-- Uses: retention/purging/purge.py, in the transaction that removes them.
UPDATE purge_results SET rows = rows + $2, bytes = bytes + $3 WHERE purge_id = $1;

-- name: end_purge
-- $1 purge_id bigint
-- Uses: retention/purging/purge.py.
UPDATE purge_results SET done_at = clock_timestamp() WHERE purge_id = $1;

-- name: purge_state
-- $1 purge_id bigint
-- Rows: as retention.purging.purge.PurgeState. Uses: retention/purging/purge.py.
SELECT p.purge_id, p.shown, p.why, p.asked_by AS requested_by,
       p.asked_at AS requested_at, c.confirmed_at, r.done_at,
       coalesce(r.rows, 0) AS rows, coalesce(r.bytes, 0) AS size,
       (SELECT count(*) FROM retention_steps AS s
         WHERE s.action = 'purge' AND s.rule = 'purge ' || p.purge_id) AS segments,
       (p.plan->>'held_rows')::bigint AS held_rows,
       (p.plan->>'protected_rows')::bigint AS protected_rows
  FROM purges AS p
  LEFT JOIN purge_confirmations AS c USING (purge_id)
  LEFT JOIN purge_results AS r USING (purge_id)
 WHERE p.purge_id = $1;

-- name: doctor_facts
-- Facts for checking the server. Rows: version, size, locks, oldest_s, age, unsafe (disabled settings that durability needs), letters (whether the
-- collation version differs from that of the database), day_rows, disk_per_row.
-- Uses: opslog/doctor/database.py.
SELECT current_setting('server_version') AS version,
       pg_database_size(current_database()) AS size,
       current_setting('max_locks_per_transaction')::integer AS locks,
       (SELECT extract(epoch FROM max(clock_timestamp() - xact_start))::float8
          FROM pg_stat_activity WHERE pid <> pg_backend_pid()) AS oldest_s,
       (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS age,
       (SELECT string_agg(name, ', ' ORDER BY name) FROM pg_settings
         WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off') AS unsafe,
       (SELECT datcollversion IS DISTINCT FROM pg_database_collation_actual_version(oid)
          FROM pg_database WHERE datname = current_database()) AS letters,
       (SELECT sum(rows)::bigint FROM log_counts_hourly
         WHERE hour > clock_timestamp() - interval '1 day') AS day_rows,
       (SELECT sum(data_bytes + index_bytes)::float8 / nullif(sum(rows), 0) FROM segments
         WHERE state = 'packed') AS disk_per_row;
