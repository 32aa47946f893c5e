-- Statements of storage/access/session_ends.py.

-- name: end_sessions
-- The sessions that were begun with a token until a moment are over.
-- $1 token     text         first digits of its SHA-256
-- $2 ended_at  timestamptz
-- $3 forget_at timestamptz  the token's own end
-- Uses: SessionEnds, when somebody logs out.
INSERT INTO session_ends (token, ended_at, forget_at) VALUES ($1, $2, $3)
ON CONFLICT (token) DO UPDATE
   SET ended_at = greatest(session_ends.ended_at, excluded.ended_at);

-- name: forget_sessions
-- Takes away what no session can need any more.
-- Uses: SessionEnds, every minute.
DELETE FROM session_ends WHERE forget_at < now();

-- name: session_ends
-- Rows: token, ended_at, forget_at.
-- Uses: SessionEnds, at every news.
SELECT token, ended_at, forget_at FROM session_ends;

-- name: announce_session_ends
-- Tells all query servers, when the transaction is committed.
-- $1 channel   text
-- Uses: SessionEnds.
SELECT pg_notify($1, '');
