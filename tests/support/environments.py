"""Environments of their own for real clients, whose pins clash with each other and with ours.

    python = python_environment(folder / "requirements-sdk.txt")   # path of its interpreter
    with node_workplace(folder) as place: ...                      # programs there find its modules

Each lies in `.venv-clients/` of the checkout, named after the hash of the requirements, so that
it is installed once. What a child process needs of the surrounding environment is in `bare()`.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".venv-clients"

_STAMP = "installed"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")
_INSTALL_TIMEOUT_S = 600


class CannotInstall(RuntimeError):
    """A package client failed; the message has its output."""


def python_environment(requirements: Path) -> Path:
    """The interpreter of a virtual environment with exactly these requirements."""
    wanted = f"{sys.version}\n{requirements.read_text()}"

    def install(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(folder / "bin" / "pip"), "install", "--quiet", "-r", str(requirements)])

    name = requirements.stem.removeprefix("requirements-")
    return _made(f"python-{name}", wanted, install) / "bin" / "python"


def node_environment(package: Path) -> Path:
    """A folder with the `node_modules` of the lock file in `package`."""
    files = [package / "package.json", package / "package-lock.json"]
    wanted = "".join(file.read_text() for file in files)

    def install(folder: Path) -> None:
        for file in files:
            shutil.copy(file, folder)
        # Scripts of packages are not needed: everything here is plain JavaScript.
        _run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)

    return _made("node", wanted, install)


@contextmanager
def node_workplace(package: Path) -> Iterator[Path]:
    """An empty folder whose programs find these modules: Node looks for them above a program."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=node_environment(package)))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def node_is_here() -> bool:
    """Whether JavaScript clients can run at all."""
    return shutil.which("node") is not None and shutil.which("npm") is not None


def bare(**variables: str) -> dict[str, str]:
    """An environment without OTEL_ or PYTHON variables, plus these variables."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1", **variables}


def _made(name: str, wanted: str, install: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
    folder = CACHE / f"{name}-{digest}"
    with _alone(CACHE / f"{name}.lock"):
        if not (folder / _STAMP).exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(folder)
            (folder / _STAMP).touch()
            _forget_others(name, folder)
    return folder


def _forget_others(name: str, current: Path) -> None:
    for other in CACHE.glob(f"{name}-*"):
        if other != current and len(other.name) == len(current.name):
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Several test processes need the same environment; the first installs it."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=_INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise CannotInstall(f"{' '.join(command)}:\n{done.stdout}\n{done.stderr}")
