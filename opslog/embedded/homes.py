"""Where the bundled servers keep their files: in the data directory, if they can reach it.

Under root they run as an unprivileged account. If it cannot enter a parent of the data directory
(/root, or a folder made by `mktemp -d`), their files are in a folder below /var/lib, which a note
in the data directory names. Permissions of existing folders never change.
"""

import os
import secrets
from pathlib import Path

from config.errors import SetupError
from opslog.embedded.server import make_folder
from opslog.system.processes import Account, can

ELSEWHERE = Path("/var/lib/opslog-servers")
_NOTE = "servers.home"
_BELONGS = "belongs-to"


def servers_home(data_dir: Path, account: Account | None) -> Path:
    """The folder of the servers' homes; the data directory must exist."""
    note = data_dir / _NOTE
    if note.is_file():
        return _noted(note)
    if account is None or can(account, "x", data_dir):
        return data_dir
    make_folder(ELSEWHERE, owner=None, mode=0o711)
    home = ELSEWHERE / secrets.token_hex(6)
    make_folder(home, owner=None, mode=0o711)
    if not can(account, "x", home):
        raise SetupError(
            f"the account {account.name!r} can access neither {data_dir} nor {home}; choose a "
            "data directory that it can access, or another account with the setting run_as"
        )
    (home / _BELONGS).write_text(f"{data_dir}\n", encoding="utf-8")
    fresh = note.with_suffix(".new")
    fresh.write_text(f"{home}\n", encoding="utf-8")
    fresh.replace(note)
    return home


def abandoned_homes() -> list[Path]:
    """Homes whose data directory was deleted or uses another home: space that can be freed."""
    if not os.access(ELSEWHERE, os.R_OK | os.X_OK):  # missing or root's: none of them is ours
        return []
    return [home for home in sorted(ELSEWHERE.iterdir()) if not _is_claimed(home)]


def _is_claimed(home: Path) -> bool:
    try:
        data_dir = Path((home / _BELONGS).read_text(encoding="utf-8").rstrip("\n"))
        return (data_dir / _NOTE).read_text(encoding="utf-8").rstrip("\n") == str(home)
    except OSError:
        return False


def _noted(note: Path) -> Path:
    home = Path(note.read_text(encoding="utf-8").rstrip("\n"))
    if not home.is_dir():
        raise SetupError(
            f"{note} names {home} as the folder of this data directory's servers, but it does not "
            "exist: restore it, or remove that note to start with an empty store"
        )
    return home
