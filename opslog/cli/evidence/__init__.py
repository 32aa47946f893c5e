"""Commands over the stored records as a whole: ledger, verify, retention, holds, segments."""
