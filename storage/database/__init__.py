"""PostgreSQL: connections, pools, roles, migrations, statements, advisory locks, reading.

In: a DSN and the name of a statement (storage/sql). Out: connections and rows.
Imports no other part of storage but `errors`.
"""
