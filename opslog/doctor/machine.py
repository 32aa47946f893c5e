"""What may be wrong with this machine or this set-up: each finding says what, why, how to fix."""

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
from opslog.installation.installation import Installation
from opslog.system.lock import PortTaken, listener

PACKAGES = ("config", "storage", "retention", "otlp_receiver", "query")
_NETWORK_FILE_SYSTEMS = {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "ceph", "glusterfs"}
_TIME_ERROR = 5
"""adjtimex(2): the clock is not synchronised."""
_TIMEX_BYTES = 256
"""More than `struct timex` has on any system (208)."""
_LOW_FILE_LIMIT = 8192


def examine(loaded: Loaded) -> list[Finding]:
    """Looks at everything; never raises, never changes anything."""
    installation = Installation(loaded.settings)
    found: list[Finding] = []
    for look in _LOOKS:
        try:
            found.extend(look(installation))
        except (OSError, SetupError) as error:
            found.append(
                Finding(
                    f"{look.__name__.strip('_').replace('_', ' ')}: cannot be looked at",
                    str(error),
                    "see the message; run as the account that runs opslog",
                    is_problem=True,
                )
            )
    return found


def _python(_: Installation) -> Iterator[Finding]:
    yield Finding(f"Python {sys.version.split()[0]}, {sys.executable}")


def _rooms_are_ours(_: Installation) -> Iterator[Finding]:
    """A foreign package named `config` must not have been loaded in place of ours."""
    for room in PACKAGES:
        place = str(importlib.import_module(room).__file__)
        if not place.startswith(_package_root + os.sep):
            yield Finding(
                f"the package {room} is not opslog's own: {place}",
                "another package of that name comes first on the path, so opslog runs its code",
                f"remove {Path(place).parent} from the path (PYTHONPATH?) of opslog",
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
            "other programs use that account too, and could reach into the servers' memory",
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
        yield Finding(f"the data directory {folder} will be made at the first start")
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(
            f"the data directory {folder} cannot be written by this account",
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
                f"the key {path} can be read by other accounts",
                "whoever has it can make tokens or open the database",
                f"chmod 600 {path}",
                is_problem=True,
            )


def _disk(installation: Installation) -> Iterator[Finding]:
    folder = _first_existing(installation.spool_root)
    free, floor = shutil.disk_usage(folder).free, installation.settings.spool.min_free_bytes
    kind = file_system(folder)
    if kind in _NETWORK_FILE_SYSTEMS:
        yield Finding(
            f"the spool {installation.spool_root} lies on a network file system ({kind})",
            "a sync over a network does not prove that bytes are on a disk, so 200 proves less",
            "put spool.directory on a local disk",
            is_problem=True,
        )
    if free < 2 * floor:
        yield Finding(
            f"{size_text(free)} free for {installation.spool_root}",
            f"below {size_text(floor)} exports are refused with 503 (spool.min_free_bytes)",
            "free some space, or move the data directory",
            is_problem=free < floor,
        )
    else:
        yield Finding(f"{size_text(free)} free for the spool")


def _ports(installation: Installation) -> Iterator[Finding]:
    running = installation.running()
    if running is not None:
        yield Finding(f"opslog runs (process {running.pid}): {running.otlp_url} {running.api_url}")
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
            words, _, fix = str(error).partition("; ")
            yield Finding(words, "opslog cannot listen there", fix, is_problem=True)


def _clock(_: Installation) -> Iterator[Finding]:
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    adjtimex = getattr(ctypes.CDLL(None), "adjtimex", None) if sys.platform == "linux" else None
    if adjtimex is not None and adjtimex(buffer) == _TIME_ERROR:
        yield Finding(
            "the clock of this machine is not synchronised",
            "records are dated by their senders; a wrong clock here makes good dates look odd",
            "switch on time synchronisation (chrony, systemd-timesyncd)",
        )
    else:
        yield Finding("the clock is synchronised")


def _file_limit(_: Installation) -> Iterator[Finding]:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if most != resource.RLIM_INFINITY and most < _LOW_FILE_LIMIT:
        yield Finding(
            f"at most {most} files may be open at once",
            "each connection of a sender is one; at the limit new ones have to wait",
            "raise the hard limit (ulimit -Hn, LimitNOFILE= in a systemd unit)",
        )
    else:
        yield Finding("enough files may be open at once")


def _overcommit(_: Installation) -> Iterator[Finding]:
    mode = Path("/proc/sys/vm/overcommit_memory")
    if mode.exists() and mode.read_text().strip() != "1":
        yield Finding(
            "the kernel may refuse memory that is only reserved (vm.overcommit_memory is not 1)",
            "Valkey warns about it at its start: compacting its file can fail when memory is short",
            "sysctl vm.overcommit_memory=1 (opslog's queue of jobs is small; this can wait)",
        )


def _abandoned(_: Installation) -> Iterator[Finding]:
    for home in abandoned_homes():
        yield Finding(
            f"{home} holds servers of a data directory that is gone",
            "as root, servers whose account cannot reach the data directory keep files there",
            f"rm -r {home}",
        )


_LOOKS: tuple[Callable[[Installation], Iterator[Finding]], ...] = (
    _python,
    _rooms_are_ours,
    _account,
    _programs,
    _folders,
    _disk,
    _ports,
    _clock,
    _file_limit,
    _overcommit,
    _abandoned,
    exposure.examine,
    database.examine,
)


def file_system(path: Path) -> str:
    """Kind of the file system that holds a path, as the kernel names it; empty if unknown."""
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
