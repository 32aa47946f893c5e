"""Numbers of PostgreSQL's advisory locks, all in one place to prevent collisions.

Pairs (space, key) for pg_advisory_lock(int, int). migrations/0002_segments.sql and
0004_retention.sql hold some of them as literals; a test keeps them equal. Locks are per database.
"""

GATE_SPACE = 1_869_638_657
"""With hashtext(class): writers hold it shared for a transaction, a rollover exclusively."""
PREPARE_SPACE = 1_869_638_658
"""With hashtext(class): creating the next leaf of a class."""
KEEPER_SPACE = 1_869_638_659
"""With 0: the one process that rolls segments over."""
MIGRATION_SPACE = 1_869_638_660
"""With 0: changing the schema."""
LEDGER_SPACE = 1_869_638_661
"""With 0: the one process that sequences the ledger; with 1: a transaction that appends to it."""
REPLAY_SPACE = 1_869_638_665
"""With 0: assigning batch ids to dead letters."""
RETENTION_SPACE = 1_869_638_664
"""With 0: removing records, merging, rewriting; one job at a time."""
PACK_SPACE = 1_869_638_662
"""With the segment's number: packing it, or removing its leaf."""
HOLD_SPACE = 1_869_638_663
"""With 0: planning removals, against new legal holds (migrations/0004_retention.sql)."""
