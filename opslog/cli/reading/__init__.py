"""Commands that read records over the API: search, tail, trace, stats, export."""
