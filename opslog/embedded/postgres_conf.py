"""The configuration of the bundled PostgreSQL, derived from the size of the machine."""

from collections.abc import Mapping
from pathlib import Path

from config.process.machine import cores, memory_bytes

MIB = 2**20
HBA = "local all all scram-sha-256\n"
"""A password is required although the socket's folder is private."""
LOCAL_CONF = "# Your own settings for the bundled PostgreSQL; they override opslog.conf.\n"
_LEAST_CONNECTIONS = 100
_CONNECTIONS_PER_CORE = 12
"""A receiver has up to 8 connections, a query server 8 and its part of the pools; by default there
is half of each per core."""
_RESERVED_FOR_OPSLOG = 2
"""PostgreSQL is sized for one part in this many of the memory."""

_FIXED = {
    # Access through our socket only.
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    # Guarantees: commits are on disk; torn pages are repaired; no session blocks vacuum for ever.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "60s",
    # A statement over many segments locks each leaf and each of its indexes.
    "max_locks_per_transaction": "1024",
    # Write-once load: long checkpoint intervals, minimal WAL. No replica, no archive.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_logical_replication_workers": "0",
    # pglz took a fifth of the sealing time in a long run, where most pages are logged whole.
    "wal_compression": "off",
    "wal_buffers": "16MB",
    "min_wal_size": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    # Segments are read by name with limits; JIT compilation costs more than such a plan.
    "jit": "off",
    "random_page_cost": "1.1",
    "track_io_timing": "on",
    # One time zone, one language.
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # The log must not contain row data.
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_line_prefix": "",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
}


def conf_text(socket_folder: Path, extra: Mapping[str, str]) -> str:
    """The text of opslog.conf; `extra` overrides the values chosen here."""
    quoted = str(socket_folder).replace('"', '""')
    values = {
        **_FIXED,
        "unix_socket_directories": f'"{quoted}"',
        **memory_settings(memory_bytes(), cores()),
        **extra,
    }
    lines = [f"{name} = {_quoted(value)}" for name, value in values.items()]
    head = "# Written by opslog before each start. Your own settings go into local.conf."
    return "\n".join([head, *lines, ""])


def first_conf() -> str:
    """The cluster's postgresql.conf: our file, then the operator's."""
    return "include = '../opslog.conf'\ninclude = '../local.conf'\n"


def memory_settings(memory: int, processors: int) -> dict[str, str]:
    """Settings by the size of a machine that PostgreSQL shares with the rest of opslog."""
    share = memory // _RESERVED_FOR_OPSLOG
    return {
        "max_connections": str(max(_LEAST_CONNECTIONS, 60 + _CONNECTIONS_PER_CORE * processors)),
        "shared_buffers": _mib(share // 4, 64, 8192),
        "effective_cache_size": _mib(share, 256, 1024 * 1024),
        "maintenance_work_mem": _mib(share // 16, 64, 1024),
        "work_mem": _mib(share // 512, 4, 64),
        "max_worker_processes": str(max(8, processors)),
        "max_parallel_workers": str(processors),
        "max_parallel_maintenance_workers": str(max(1, processors // 2)),
    }


def _mib(size: int, least: int, most: int) -> str:
    return f"{min(max(size // MIB, least), most)}MB"


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"
