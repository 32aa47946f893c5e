"""Checks of this machine and installation for `opslog doctor`."""

import contextlib
import ctypes
import importlib
import os
import resource
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from config.errors import SetupError
from config.loading.load import Loaded
from config.units import size_text
from opslog import _package_root
from opslog.doctor import database, exposure
from opslog.doctor.finding import Finding
from opslog.embedded.homes import abandoned_homes
from opslog.embedded.programs import postgres_programs, valkey_program
from opslog.installation.installation import Installation, is_listening
from opslog.system.lock import PortTaken, listener

PACKAGES = ("config", "storage", "retention", "otlp_receiver", "query")
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"}
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES = 256
"""More than `struct timex` has on any system (208)."""
_LOW_FILE_LIMIT = 8192


def examine(loaded: Loaded) -> list[Finding]:
    """Run all checks; never raises, never changes anything."""
    installation = Installation(loaded.settings)
    found: list[Finding] = []
    for check in _CHECKS:
        try:
            found.extend(check(installation))
        except (OSError, SetupError) as error:
            found.append(
                Finding(
                    f"{check.__name__.strip('_').replace('_', ' ')}: cannot be checked",
                    str(error),
                    "see the message; run as the account that runs opslog",
                    is_problem=True,
                )
            )
    return found


def _python(_: Installation) -> Iterator[Finding]:
    yield Finding(f"Python {sys.version.split()[0]}, {sys.executable}")


def _packages(_: Installation) -> Iterator[Finding]:
    """A foreign package named `config` must not shadow ours."""
    for package in PACKAGES:
        path = str(importlib.import_module(package).__file__)
        if not path.startswith(_package_root + os.sep):
            yield Finding(
                f"the package {package} is not opslog's own: {path}",
                "another package of that name comes first on the path, so opslog runs its code",
                f"remove {Path(path).parent} from the Python path (PYTHONPATH?)",
                is_problem=True,
            )
            return
    yield Finding("all packages are opslog's own")


def _account(installation: Installation) -> Iterator[Finding]:
    account = installation.account
    if account is None:
        yield Finding("servers run as the account that runs opslog")
    elif account.name == "nobody":
        yield Finding(
            "as root, servers run as the account nobody",
            "other programs use that account too, and could access the servers' memory",
            "useradd --system --no-create-home opslog",
        )
    else:
        yield Finding(f"as root, servers run as the account {account.name}")


def _programs(installation: Installation) -> Iterator[Finding]:
    if installation.has_own_postgres:
        yield Finding(f"bundled PostgreSQL: {postgres_programs()}")
    if installation.has_own_valkey:
        yield Finding(f"bundled Valkey: {valkey_program()}")


def _folders(installation: Installation) -> Iterator[Finding]:
    folder = installation.data_dir
    if not folder.exists():
        yield Finding(f"the data directory {folder} will be created at the first start")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            f"the data directory {folder} is not writable for this account",
            "it belongs to another account, perhaps because opslog once ran as root",
            "run opslog as that account, or choose another directory with OPSLOG_DATA_DIR",
            is_problem=True,
        )
        return
    yield Finding(f"data directory {folder}")
    keys = installation.secrets.folder
    for path in sorted(keys.rglob("*")) if keys.is_dir() else []:
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
            yield Finding(
                f"the key {path} is readable for other accounts",
                "anyone who has it can create tokens or open the database",
                f"chmod 600 {path}",
                is_problem=True,
            )


def _disk(installation: Installation) -> Iterator[Finding]:
    folder = _first_existing(installation.spool_root)
    free, required = shutil.disk_usage(folder).free, installation.settings.spool.min_free_bytes
    kind = file_system(folder)
    if kind in _NETWORK_FILE_SYSTEMS:
        yield Finding(
            f"the spool {installation.spool_root} is on a network file system ({kind})",
            "fsync over a network does not guarantee durability, so neither does a 200",
            "put spool.directory on a local disk",
            is_problem=True,
        )
    if free < 2 * required:
        yield Finding(
            f"{size_text(free)} free for {installation.spool_root}",
            f"below {size_text(required)} exports are refused with 503 (spool.min_free_bytes)",
            "free some space, or move the data directory",
            is_problem=free < required,
        )
    else:
        yield Finding(f"{size_text(free)} free for the spool")


def _ports(installation: Installation) -> Iterator[Finding]:
    running = installation.running()
    if running is not None:
        yield Finding(
            f"opslog is running (process {running.pid}): {running.otlp_url} {running.api_url}"
        )
        return
    settings = installation.settings
    for section, host, port in (
        ("otlp", settings.otlp.host, settings.otlp.port),
        ("api", settings.api.host, settings.api.port),
    ):
        try:
            listener(host, port, section).close()
            yield Finding(f"port {port} on {host} is free")
        except PortTaken as error:
            problem, _, fix = str(error).partition("; ")
            yield Finding(problem, "opslog cannot listen there", fix, is_problem=True)


def _processes(installation: Installation) -> Iterator[Finding]:
    if installation.running() is None:
        return
    names = installation.process_names
    absent = [name for name in names if not is_listening(installation.health_socket(name))]
    for name in absent:
        yield Finding(
            f"{name} does not respond",
            "it is starting, or waits to be restarted after it exited",
            "see its lines in the log of `opslog up`",
            is_problem=True,
        )
    if not absent:
        yield Finding(f"all processes respond: {', '.join(names)}")


def _clock(_: Installation) -> Iterator[Finding]:
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None) if sys.platform == "linux" else None
    if adjtimex is not None and adjtimex(buffer) == _TIME_ERROR:
        yield Finding(
            "the clock of this machine is not synchronised",
            "timestamps come from senders; a wrong clock here makes them look wrong",
            "enable time synchronisation (chrony, systemd-timesyncd)",
        )
    else:
        yield Finding("the clock is synchronised")


def _file_limit(_: Installation) -> Iterator[Finding]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < _LOW_FILE_LIMIT:
        yield Finding(
            f"the limit of open files is {most}",
            "each sender connection needs one; at the limit new connections have to wait",
            "raise the hard limit (ulimit -Hn, LimitNOFILE= in a systemd unit)",
        )
    else:
        yield Finding("the limit of open files is high enough")


def _overcommit(_: Installation) -> Iterator[Finding]:
    mode = Path("/proc/sys/vm/overcommit_memory")
    if mode.exists() and mode.read_text().strip() != "1":
        yield Finding(
            "the kernel may refuse to overcommit memory (vm.overcommit_memory is not 1)",
            "Valkey warns about it: compacting its file can fail when memory is short",
            "sysctl vm.overcommit_memory=1 (not urgent: opslog's job queue is small)",
        )


def _abandoned(_: Installation) -> Iterator[Finding]:
    for home in abandoned_homes():
        yield Finding(
            f"{home} has server files of a deleted data directory",
            "servers that run as another account keep files there if the data directory is private",
            f"rm -r {home}",
        )


_CHECKS: tuple[Callable[[Installation], Iterator[Finding]], ...] = (
    _python,
    _packages,
    _account,
    _programs,
    _folders,
    _disk,
    _ports,
    _processes,
    _clock,
    _file_limit,
    _overcommit,
    _abandoned,
    exposure.examine,
    database.examine,
)


def file_system(path: Path) -> str:
    """The file system type of a path, as the kernel names it; empty if unknown."""
    best, kind = "", ""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
            _, mount, name, *_ = line.split()
            point = mount.replace("\\040", " ")
            if path.is_relative_to(point) and len(point) >= len(best):
                best, kind = point, name
    return kind


def _first_existing(path: Path) -> Path:
    return path if path.exists() else _first_existing(path.parent)
