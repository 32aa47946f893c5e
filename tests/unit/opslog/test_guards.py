"""What is refused at the start, and protection from other accounts of the machine."""

import subprocess
import sys

import pytest

from config.settings import Settings
from opslog.doctor.exposure import examine
from opslog.installation.installation import Installation
from opslog.installation.redis_address import RedisExposed, check_redis, missing_guards

ADDRESSES = [
    ("redis://127.0.0.1:6379/0", []),
    ("redis://localhost", []),
    ("redis://[::1]:6379", []),
    ("redis://", []),
    ("unix:///run/redis.sock", []),
    ("redis://10.0.0.5:6379", ["a password", "TLS"]),
    ("redis://redis:6379/0", ["a password", "TLS"]),
    ("redis://user@redis", ["a password", "TLS"]),
    ("redis://:secret@redis", ["TLS"]),
    ("redis://redis?password=secret", ["TLS"]),
    ("rediss://redis", ["a password"]),
    ("rediss://:secret@redis?ssl_cert_reqs=none", ["TLS"]),
    ("rediss://:secret@redis", []),
    ("redis://127.0.0.1.example.com", ["a password", "TLS"]),
    ("redis://0.0.0.0", ["a password", "TLS"]),
]


@pytest.mark.parametrize(("url", "missing"), ADDRESSES)
def test_a_redis_elsewhere_needs_a_password_and_tls(url, missing):
    """T48."""
    assert missing_guards(url) == missing
    settings = Settings(redis_url=url)
    if not missing:
        check_redis(settings)
        return
    with pytest.raises(RedisExposed) as refused:
        check_redis(settings)
    assert all(guard in str(refused.value) for guard in missing)
    assert "secret" not in str(refused.value)
    check_redis(settings.model_copy(update={"insecure_redis": True}))


EXPOSED = [
    ({}, ""),
    ({"otlp": {"host": "0.0.0.0"}}, "otlp.host is 0.0.0.0, without TLS"),
    ({"api": {"host": "::"}}, "api.host is ::, without TLS"),
    ({"api": {"host": "::", "trusted_proxies": ["10.0.0.1"]}}, ""),
    ({"api": {"host": "::", "tls_cert": "c", "tls_key": "k"}}, ""),
    (
        {"api": {"trusted_proxies": ["10.0.0.0/8", "0.0.0.0/0"]}},
        "0.0.0.0/0, which matches every address",
    ),
    ({"redis_url": "redis://:secret@elsewhere"}, "redis_url names a server on another machine"),
    ({"database_url": "postgresql://u:secret@db.example/x"}, "the database at db.example"),
    ({"database_url": "postgresql://u:secret@db.example/x?sslmode=require"}, "is not verified"),
    ({"database_url": "postgresql://u:secret@db.example/x?sslmode=verify-full"}, ""),
    ({"database_url": "postgresql://u:secret@127.0.0.1/x"}, ""),
    ({"database_url": "postgresql://u:secret@/x?host=/run/postgresql"}, ""),
]


@pytest.mark.parametrize(("values", "expected"), EXPOSED)
def test_the_doctor_reports_network_exposure(values, expected, tmp_path):
    settings = Settings.model_validate({"data_dir": tmp_path, **values})

    found = list(examine(Installation(settings)))

    said = "\n".join(f"{item.what}: {item.reason}" for item in found if not item.is_fine)
    assert expected in said if expected else not said
    assert "secret" not in said


@pytest.mark.parametrize("command", ["up", "worker", "scheduler"])
def test_nothing_starts_on_an_exposed_redis(command, tmp_path):
    """T48: exit code 78 before anything is created."""
    done = subprocess.run(
        [sys.executable, "-P", "-m", "opslog", command],
        env={"OPSLOG_DATA_DIR": str(tmp_path / "d"), "OPSLOG_REDIS_URL": "redis://:pw7@192.0.2.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 78
    assert "insecure_redis" in done.stderr
    assert "pw7" not in done.stderr + done.stdout
    assert not (tmp_path / "d").exists()


def test_no_core_file_is_written():
    """T54: their memory contains keys and records."""
    code = (
        "import resource, ctypes, subprocess, sys\n"
        "from config.process.machine import disable_memory_dumps\n"
        "resource.setrlimit(resource.RLIMIT_CORE, (2**20, resource.getrlimit(resource.RLIMIT_CORE)[1]))\n"
        "disable_memory_dumps()\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
        "subprocess.run([sys.executable, '-c', 'import resource;"
        "print(resource.getrlimit(resource.RLIMIT_CORE))'], check=True)\n"
    )

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert sorted(said.stdout.splitlines()) == ["(0, 0)", "(0, 0) 0"]
