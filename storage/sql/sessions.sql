-- Statements of storage/access/session_ends.py.

-- name: end_sessions
-- End the sessions that were started with a token before a time.
-- $1 token     text         first digits of its SHA-256
-- $2 ended_at  timestamptz
-- $3 forget_at timestamptz  expiry of the token
-- Uses: SessionEnds, on a logout.
INSERT INTO session_ends (token, ended_at, forget_at) VALUES ($1, $2, $3)
ON CONFLICT (token) DO UPDATE
   SET ended_at = greatest(session_ends.ended_at, excluded.ended_at);

-- name: forget_sessions
-- Delete logouts of expired tokens.
-- Uses: SessionEnds, every minute.
DELETE FROM session_ends WHERE forget_at < now();

-- name: session_ends
-- Rows: token, ended_at, forget_at.
-- Uses: SessionEnds, at every notification.
SELECT token, ended_at, forget_at FROM session_ends;

-- name: announce_session_ends
-- Notify all query servers when the transaction is committed.
-- $1 channel   text
-- Uses: SessionEnds.
SELECT pg_notify($1, '');
