"""PostgreSQL and Valkey that opslog brings along: a way to start them, not a way to store.

Nothing above a DSN leaves this folder. The wheels carry the programs; their own start functions
are never called (one changes permissions up to `/`, both leave servers behind when killed).
"""
