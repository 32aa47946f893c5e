# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog verify`: was anything changed, is anything missing?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from opslog.cli.evidence.ledger import ask, trusted_key
from opslog.cli.options import ConfigOption, echo_err
from opslog.installation.opening import open_installation

if TYPE_CHECKING:
    from storage.database.roles import Connection
    from storage.ledger.verify import Verifier

UNVERIFIABLE = 3


def verify(
    segment: Annotated[
        list[int] | None, typer.Option(help="Rows of these segments only; the ledger is whole.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="Public key you keep; default: this installation's.")
    ] = "",
    heads: Annotated[
        Path | None, typer.Option(help="Folder with your own copies of published heads.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Check rows, figures and the signed ledger; names what was changed, missing or added.

    Exit code 0: integrity and completeness hold. 1: one does not. 2: both hold, with known gaps
    such as rows that retention removed. 3: it cannot be told.
    """
    from storage.ledger.export import verify as check

    installation = open_installation(config)
    if key and not _is_key(key):
        echo_err("cannot be verified: --key is not what `opslog ledger key` prints")
        raise typer.Exit(UNVERIFIABLE)

    async def work(conn: "Connection") -> "Verifier":
        trusted = key or await trusted_key(conn, installation)
        return await check(conn, heads or installation.heads_dir, trusted, segments=segment)

    try:
        verifier = ask(installation, work)
        print("\n".join(verifier.told()))
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
