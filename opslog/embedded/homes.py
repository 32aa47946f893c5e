"""Where the bundled servers keep their files: in the data directory, unless they cannot get there.

As root they run as an unprivileged account. When a folder on the way to the data directory is
closed to it (as /root is, or what `mktemp -d` makes), their files go to a folder of their own
under /var/lib; the data directory remembers which. Permissions of existing folders never change.
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
    """The folder that holds the servers' homes; the data directory must be there."""
    note = data_dir / _NOTE
    if note.is_file():
        return _remembered(note)
    if account is None or can(account, "x", data_dir):
        return data_dir
    make_folder(ELSEWHERE, owner=None, mode=0o711)
    home = ELSEWHERE / secrets.token_hex(6)
    make_folder(home, owner=None, mode=0o711)
    if not can(account, "x", home):
        raise SetupError(
            f"the account {account.name!r} can reach neither {data_dir} nor {home}; choose a "
            "data directory that it can reach, or another account with the setting run_as"
        )
    (home / _BELONGS).write_text(f"{data_dir}\n", encoding="utf-8")
    fresh = note.with_suffix(".new")
    fresh.write_text(f"{home}\n", encoding="utf-8")
    fresh.replace(note)
    return home


def abandoned_homes() -> list[Path]:
    """Homes whose data directory is gone or has another home by now: space that can be freed."""
    if not os.access(ELSEWHERE, os.R_OK | os.X_OK):  # not there, or root's: none of them is ours
        return []
    return [home for home in sorted(ELSEWHERE.iterdir()) if not _is_claimed(home)]


def _is_claimed(home: Path) -> bool:
    try:
        data_dir = Path((home / _BELONGS).read_text(encoding="utf-8").rstrip("\n"))
        return (data_dir / _NOTE).read_text(encoding="utf-8").rstrip("\n") == str(home)
    except OSError:
        return False


def _remembered(note: Path) -> Path:
    home = Path(note.read_text(encoding="utf-8").rstrip("\n"))
    if not home.is_dir():
        raise SetupError(
            f"{note} says that the servers of this data directory keep their files in {home}, "
            "which is not there: put it back, or remove that note to begin with an empty store"
        )
    return home
