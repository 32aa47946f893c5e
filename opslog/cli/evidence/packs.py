# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog packs`: list, pack, unpack, reindex, verify."""

import getpass
from typing import TYPE_CHECKING, Annotated

import typer

from config.units import size_text
from opslog.cli.connecting import as_json, table, when, with_connection, with_dsn
from opslog.cli.options import ConfigOption, echo_err

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from opslog.installation.installation import Installation
    from retention.packing.checking import PackState, Problem
    from retention.packing.run import PackRun
    from storage.database.roles import Connection
    from storage.packs.store import PackStore

app = typer.Typer(help="Packs: list, pack, unpack, reindex, verify.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="JSON output.")]
SegmentsArgument = Annotated[
    list[int] | None, typer.Argument(help="Numbers of segments (opslog segments); default: all.")
]
_UNFINISHED = 75


@app.command("list")
def list_(
    *,
    class_name: Annotated[str, typer.Option("--class", help="Only this retention class.")] = "",
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the packs: class, rows, bytes of data and index, bytes per row, when packed."""
    from retention.packing.checking import packs_of

    async def read(conn: "Connection", _: "Installation") -> "list[PackState]":
        return await packs_of(conn)

    found = [pack for pack in with_connection(config, read) if class_name in {"", pack.class_name}]
    print(_as_json(found) if json else _as_text(found))


@app.command()
def pack(
    segments: SegmentsArgument = None,
    *,
    again: Annotated[
        bool,
        typer.Option("--again", help="Also segments that were found damaged, or were unpacked."),
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Pack closed segments now, without a packer. Exit code 75: some were not packed."""
    from retention.packing.run import pack_named

    async def work(dsn: str, found: "Installation") -> "PackRun":
        return await pack_named(dsn, found.settings, segments or [], again=again)

    done = with_dsn(config, work)
    print(f"{done.segments:,} segments, {done.rows:,} rows packed")
    if done.note:
        echo_err(done.note)
    if done.failed or done.note:
        raise typer.Exit(_UNFINISHED)


@app.command()
def unpack(
    segments: Annotated[list[int], typer.Argument(help="Numbers of packed segments.")],
    config: ConfigOption = None,
) -> None:
    """Bring packs back into PostgreSQL. They stay there until `opslog packs pack --again`."""
    from retention.packing.unpack import unpack as bring_back

    async def work(conn: "Connection", store: "PackStore", segment: int, by: str) -> str:
        rows = await bring_back(conn, store, segment, by=by)
        return f"{rows:,} rows are in PostgreSQL again"

    _each(config, segments, work)


@app.command()
def reindex(
    segments: Annotated[list[int], typer.Argument(help="Numbers of packed segments.")],
    config: ConfigOption = None,
) -> None:
    """Rebuild the index file and the filter of packs from their data, when lost or damaged."""
    from retention.packing.checking import reindex as rebuild

    async def work(conn: "Connection", store: "PackStore", segment: int, by: str) -> str:
        is_new = await rebuild(conn, store, segment, by=by)
        return "a new index, entered in the ledger" if is_new else "the same index as before"

    _each(config, segments, work)


def _each(
    config: "Path | None",
    segments: list[int],
    work: "Callable[[Connection, PackStore, int, str], Awaitable[str]]",
) -> None:
    """Work on each pack, and print what was done."""
    from retention.packing.places import store_to_write

    async def all_of_them(conn: "Connection", found: "Installation") -> None:
        store = await store_to_write(conn, found.settings)
        for segment in segments:
            what = await work(conn, store, segment, f"{getpass.getuser()} (cli)")
            print(f"segment {segment}: {what}")

    with_connection(config, all_of_them)


@app.command()
def verify(
    segments: SegmentsArgument = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Also read and hash every row (10 us each).")
    ] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Compare packs with their hashes in the ledger; names file, block and row of what is wrong.

    Exit code 1: something is. `opslog verify` compares all rows with the ledger, packed or not.
    """
    from retention.packing.checking import check_packs
    from retention.packing.places import store_to_write

    async def work(conn: "Connection", found: "Installation") -> "list[Problem]":
        store = await store_to_write(conn, found.settings)
        return await check_packs(conn, store, segments or [], full=full)

    problems = with_connection(config, work)
    if json:
        print(as_json([{"segment": each.segment, "problem": each.what} for each in problems]))
    else:
        for each in problems:
            print(f"segment {each.segment}: {each.what}")
        print(f"{len(problems):,} packs with problems" if problems else "all packs are intact")
    if problems:
        raise typer.Exit(1)


def _as_text(found: "list[PackState]") -> str:
    rows = [
        [
            pack.segment,
            pack.class_name,
            pack.rows,
            size_text(pack.data_bytes),
            size_text(pack.index_bytes),
            f"{(pack.data_bytes + pack.index_bytes) / max(pack.rows, 1):.1f}",
            when(pack.packed_at),
            "held" if pack.is_hold else "" if pack.leaf_dropped else "leaf not dropped yet",
        ]
        for pack in found
    ]
    head = ["segment", "class", "rows", "data", "index", "bytes/row", "packed", ""]
    size = sum(pack.data_bytes + pack.index_bytes for pack in found)
    total = f"{len(found):,} packs, {sum(pack.rows for pack in found):,} rows, {size_text(size)}"
    return f"{table(head, rows)}\n{total}" if rows else "no packs yet"


def _as_json(found: "list[PackState]") -> str:
    return as_json(
        [
            {
                "segment": pack.segment,
                "class": pack.class_name,
                "rows": pack.rows,
                "data_bytes": pack.data_bytes,
                "index_bytes": pack.index_bytes,
                "data_sha256": pack.data_hash.hex(),
                "index_sha256": pack.index_hash.hex(),
                "packed": pack.packed_at.isoformat(),
                "is_hold": pack.is_hold,
            }
            for pack in found
        ]
    )
