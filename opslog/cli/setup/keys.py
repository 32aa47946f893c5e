# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog keys`: ingest keys, which senders show when opslog listens beyond this machine."""

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from config.units import duration_s, size_bytes, size_text
from opslog.cli.options import ConfigOption, amount, echo_err
from opslog.client.record_lines import printable
from opslog.installation.opening import open_installation

if TYPE_CHECKING:
    from pathlib import Path

    from config.levels import Level
    from storage.access.ingest_keys import IngestKey, KeyTerms
    from storage.database.roles import Connection

T = TypeVar("T")

app = typer.Typer(help="Ingest keys: make, list, rotate, revoke.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="What the key is called, for instance its service.")]


@app.command()
def create(  # noqa: PLR0917 - options of a command line
    name: Name,
    right: Annotated[
        list[str] | None, typer.Option(help="logs, traces, audit; default: logs and traces.")
    ] = None,
    expires: Annotated[
        str, typer.Option(help="Lifetime, for instance 90d; default: for ever.")
    ] = "",
    min_level: Annotated[str, typer.Option(help="Records below it are rejected.")] = "",
    attribute: Annotated[
        list[str] | None, typer.Option(help="name=value, added to each resource; wins.")
    ] = None,
    records_per_s: Annotated[int | None, typer.Option(help="Most records a second.")] = None,
    bytes_per_s: Annotated[str, typer.Option(help="Most bytes a second, for instance 2MiB.")] = "",
    config: ConfigOption = None,
) -> None:
    """Make a key and print it: once, on standard output, and nothing else. Only its hash is kept.

    export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20$(opslog keys create shop)"
    """
    from storage.access.ingest_keys import DEFAULT_RIGHTS, KeyRefused, KeyTerms
    from storage.access.ingest_keys import create as make

    lifetime = amount(duration_s, expires, "--expires")
    rate = amount(size_bytes, bytes_per_s, "--bytes-per-s")
    try:
        terms = KeyTerms(
            rights=tuple(right) if right else DEFAULT_RIGHTS,
            attributes=dict(_pair(text) for text in attribute or []),
            min_level=_level(min_level),
            expires_at=None if lifetime is None else _now() + timedelta(seconds=lifetime),
            records_per_s=records_per_s,
            bytes_per_s=rate,
        )
    except KeyRefused as error:
        raise typer.BadParameter(str(error)) from None
    made = _ask(config, lambda conn: make(conn, name, made_by=getpass.getuser(), terms=terms))
    print(made.secret)


@app.command("list")
def list_(
    *,
    revoked: Annotated[
        bool, typer.Option("--revoked", help="Revoked and expired ones too.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Show the keys: name, first characters, rights, made, last used, until when, other terms."""
    from storage.access.ingest_keys import list_keys

    keys = _ask(config, lambda conn: list_keys(conn, with_revoked=revoked))
    for key in keys:
        print(printable(_row(key)))
    if not keys:
        echo_err("there are no ingest keys; `opslog keys create NAME` makes one")


@app.command()
def rotate(
    name: Name,
    grace: Annotated[str, typer.Option(help="How long the old one still holds.")] = "1h",
    config: ConfigOption = None,
) -> None:
    """Make a new key of the same name and terms and print it; the old one ends after the grace."""
    from storage.access.ingest_keys import rotate as renew

    seconds = amount(duration_s, grace, "--grace") if grace.strip("0") else 0
    period = timedelta(seconds=seconds or 0)
    made = _ask(config, lambda conn: renew(conn, name, made_by=getpass.getuser(), grace=period))
    print(made.secret)


@app.command()
def revoke(name: Name, config: ConfigOption = None) -> None:
    """End a key at once; running receivers refuse it within seconds."""
    from storage.access.ingest_keys import revoke as end

    count = _ask(config, lambda conn: end(conn, name))
    echo_err(f"revoked {name}" + (f" ({count} keys, one in its grace)" if count > 1 else ""))


def _ask(config: "Path | None", read: "Callable[[Connection], Awaitable[T]]") -> T:
    """Runs the read in this installation's database, migrated, started when it must be."""
    from opslog.wiring.database import connection, database
    from storage.database import migrate
    from storage.database.roles import DatabaseRole, take_role

    async def ask(dsn: str) -> T:
        async with connection(dsn) as conn:
            if not (await migrate.status(conn)).is_current:
                await migrate.up(conn)
            await take_role(conn, DatabaseRole.OWNER)
            return await read(conn)

    with database(open_installation(config), echo_err) as dsn:
        return asyncio.run(ask(dsn))


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="--attribute")
    return name, value


def _level(text: str) -> "Level | None":
    from config.levels import LEVEL_NAMES, Level

    if not text:
        return None
    if text.upper() not in LEVEL_NAMES:
        known = ", ".join(LEVEL_NAMES)
        raise typer.BadParameter(f"{text!r} is none of {known}", param_hint="--min-level")
    return Level[text.upper()]


def _row(key: "IngestKey") -> str:
    used = f"used {_day(key.last_used_at)}" if key.last_used_at else "never used"
    parts = (f"{key.name:<24}", f"{key.hint}…", f"{','.join(key.terms.rights):<17}")
    return "  ".join((*parts, f"made {_day(key.made_at)}", used, *_end(key), *_terms(key.terms)))


def _end(key: "IngestKey") -> list[str]:
    """Until when the key is in force, or since when it is not."""
    ends = [
        (when, word)
        for when, word in ((key.revoked_at, "revoked"), (key.terms.expires_at, "expired"))
        if when is not None
    ]
    if not ends:
        return []
    when, word = min(ends)
    return [f"{word if when <= _now() else 'until'} {_day(when)}"]


def _terms(terms: "KeyTerms") -> list[str]:
    """What else the key says, as the options of `create` echo_err it."""
    said = [] if terms.min_level is None else [f"min-level={terms.min_level.name}"]
    if terms.records_per_s is not None:
        said.append(f"records-per-s={terms.records_per_s}")
    if terms.bytes_per_s is not None:
        said.append(f"bytes-per-s={size_text(terms.bytes_per_s).replace(' ', '')}")
    return said + [f"attribute={name}={value!r}" for name, value in terms.attributes.items()]


def _now() -> datetime:
    return datetime.now(UTC)


def _day(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")
