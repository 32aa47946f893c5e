-- When browsers logged out, so that every query server knows, also after a restart.
-- Uses: storage/session_ends.py, which forgets a row when no session of its token can hold.
CREATE TABLE session_ends (
    token     text PRIMARY KEY,     -- first 16 hex digits of the token's SHA-256
    ended_at  timestamptz NOT NULL, -- sessions that were begun until then are over
    forget_at timestamptz NOT NULL  -- the token's own end
);
