"""Commands for stored data as a whole: ledger, verify, retention, hold, segments, dead letters."""
