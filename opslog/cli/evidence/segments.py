# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog segments`: the stored segments."""

from typing import TYPE_CHECKING, Annotated

import typer

from config.units import size_text
from opslog.cli.connecting import as_json, table, when, with_connection
from opslog.cli.options import ConfigOption

if TYPE_CHECKING:
    from opslog.installation.installation import Installation
    from retention.policy.plan import Stored
    from storage.database.roles import Connection


def segments(
    *,
    class_name: Annotated[str, typer.Option("--class", help="Only this retention class.")] = "",
    json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
    config: ConfigOption = None,
) -> None:
    """List the segments: class, state, rows, sizes, first and last arrival."""
    from retention.policy.catalogue import stored_segments

    async def read(conn: "Connection", _: "Installation") -> "list[Stored]":
        return await stored_segments(conn)

    found = [
        stored for stored in with_connection(config, read) if class_name in {"", stored.class_name}
    ]
    print(_as_json(found) if json else _as_text(found))


def _as_text(found: "list[Stored]") -> str:
    rows = [
        [
            stored.segment,
            stored.class_name,
            f"{stored.state}, held" if stored.is_hold else stored.state,
            stored.rows,
            size_text(stored.size),
            "-" if stored.disk_bytes is None else size_text(stored.disk_bytes),
            when(stored.oldest),
            when(stored.newest),
        ]
        for stored in found
    ]
    head = ["segment", "class", "state", "rows", "size", "on disk", "first arrival", "last arrival"]
    total = f"{len(found):,} segments, {sum(stored.rows for stored in found):,} rows"
    return f"{table(head, rows)}\n{total}" if rows else "no segments yet"


def _as_json(found: "list[Stored]") -> str:
    return as_json(
        [
            {
                "segment": stored.segment,
                "class": stored.class_name,
                "state": stored.state,
                "rows": stored.rows,
                "bytes": stored.size,
                "disk_bytes": stored.disk_bytes,
                "is_hold": stored.is_hold,
                "oldest": stored.oldest.isoformat() if stored.oldest else None,
                "newest": stored.newest.isoformat() if stored.newest else None,
            }
            for stored in found
        ]
    )
