# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog verify`: integrity and completeness of the stored records."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.evidence.ledger import run_in_database, trusted_key
from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import open_installation

if TYPE_CHECKING:
    from storage.database.roles import Connection
    from storage.ledger.verify import Verifier

UNVERIFIABLE = 3


def verify(
    segment: Annotated[
        list[int] | None, typer.Option(help="Only rows of these segments, with the whole ledger.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="Your copy of the public key; default: this installation's.")
    ] = "",
    heads: Annotated[
        Path | None, typer.Option(help="Folder with your copies of published heads.")
    ] = None,
    *,
    quick: Annotated[
        bool, typer.Option("--quick", help="Compare the files of packs with their hashes only.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Verify rows, counters and the signed ledger; lists changed, missing and added rows.

    Exit code 0: integrity and completeness hold. 1: one of them does not. 2: both hold, with known
    gaps such as rows removed by retention. 3: cannot be verified.
    """
    from storage.database.roles import DatabaseRole
    from storage.ledger.export import verify as check
    from storage.packs.store import store_at

    installation = open_installation(config)
    if key and not _is_key(key):
        echo_err("cannot be verified: --key is not what `opslog ledger key` prints")
        raise typer.Exit(UNVERIFIABLE)

    async def work(conn: "Connection") -> "Verifier":
        trusted = key or await trusted_key(conn, installation)
        return await check(
            conn,
            heads or installation.heads_dir,
            trusted,
            segments=segment,
            store=store_at(installation.packs_dir),
            quick=quick,
        )

    try:
        verifier = run_in_database(installation, work, DatabaseRole.OWNER)
        print("\n".join(verifier.report()))
    except (ValueError, LookupError) as error:
        echo_err(f"cannot be verified: {error}")
        raise typer.Exit(UNVERIFIABLE) from None
    raise typer.Exit(1 if verifier.findings else 2 if verifier.gaps else 0)


def _is_key(text: str) -> bool:
    from storage.ledger.tree.keys import public_of

    try:
        public_of(text)
    except ValueError:
        return False
    return True
