"""The command line: output, streams and exit codes, without a running opslog."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

Opslog = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    """Settings of one installation; tests may add more."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("OPSLOG_")}
    return {**plain, "OPSLOG_DATA_DIR": str(home / "data"), "NO_COLOR": "1", "COLUMNS": "200"}


@pytest.fixture
def opslog(home: Path, environment: dict[str, str]) -> Opslog:
    """Run one command to completion."""

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-P", "-m", "opslog", *arguments],
            env={**environment, **more},
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_help_is_quick(opslog):
    """Nothing heavy is imported for it."""
    assert "up" in opslog("--help").stdout
    code = "import sys, opslog.__main__; print([m for m in sys.modules if m in HEAVY])"
    heavy = "{'pydantic', 'asyncpg', 'aiohttp', 'cryptography', 'redis', 'prometheus_client'}"
    loaded = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", heavy)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout == "[]\n"


def test_version_and_no_command(opslog):
    """`--version` is like `version`; no command is a usage error."""
    assert re.fullmatch(r"opslog \d+\.\d+\.\d+\n", opslog("version").stdout)
    assert opslog("--version").stdout == opslog("version").stdout
    assert opslog().returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["token"],
        ["token", "--role", "ROOT"],
        ["token", "--role", "NOC", "--hours", "25"],
        ["keys", "create"],
        ["keys", "create", "x", "--attribute", "novalue"],
        ["keys", "create", "x", "--min-level", "LOUD"],
        ["keys", "create", "x", "--expires", "soon"],
        ["keys", "create", "x", "--bytes-per-s", "lots"],
        ["keys", "create", "x", "--records-per-s", "0"],
        ["keys", "create", "x", "--right", "log"],
        ["keys", "rotate", "x", "--grace", "a while"],
        ["retention", "plan", "--within", "soon"],
        ["dead-letters", "list", "--state", "lost"],
        ["ledger", "export", "/there/is/no/such/folder"],
        ["query", "--fd", "1"],
    ],
)
def test_wrong_usage_is_2_and_on_standard_error(opslog, arguments):
    """With a hint to the help."""
    done = opslog(*arguments)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "--help" in done.stderr


def test_a_token_is_all_that_is_printed(opslog, home):
    """So that it can be used in $(…)."""
    done = opslog("token", "--role", "NOC", "--hours", "2", "--subject", "dana")

    assert done.stderr == ""
    token = done.stdout.removesuffix("\n")
    public = (home / "data" / "secrets" / "jwt-public.pem").read_bytes()
    claims = jwt.decode(token, public, algorithms=["RS256"], audience="opslog")
    assert (claims["role"], claims["sub"]) == ("NOC", "dana")


def test_roles_may_be_written_in_small_letters(opslog):
    """Roles are case-insensitive."""
    claims = jwt.decode(
        opslog("token", "--role", "auditor").stdout.strip(), options={"verify_signature": False}
    )
    assert claims["role"] == "AUDITOR"


def test_a_key_is_all_that_is_printed_and_only_its_hash_is_kept(opslog, home):
    """The bundled PostgreSQL is started for the command, and stopped afterwards."""
    created = opslog(
        "keys", "create", "shop", "--right", "logs", "--expires", "90d", "--attribute", "team=a",
        "--min-level", "info", "--bytes-per-s", "2MiB",
    )  # fmt: skip

    key = created.stdout.removesuffix("\n")
    assert re.fullmatch(r"opslog_[0-9A-Za-z]{32,}", key)
    listed = opslog("keys", "list").stdout
    terms = r"until 20\S+ \S+  min-level=INFO  bytes-per-s=2.0MiB  attribute=team='a'$"
    assert re.search(rf"^shop +{key[:12]}… +logs +created .* never used +{terms}", listed)
    assert key not in listed
    stored = [path for path in home.rglob("*") if path.is_file() and not path.is_symlink()]
    assert not [path for path in stored if key.encode() in path.read_bytes()]
    assert opslog("keys", "create", "shop").returncode == 1
    assert opslog("keys", "rotate", "shop", "--grace", "0").stdout.startswith("opslog_")
    assert opslog("keys", "revoke", "shop").returncode == 0
    assert "no valid ingest key named 'shop'" in opslog("keys", "revoke", "shop").stderr
    assert re.search("^shop .* revoked 20", opslog("keys", "list", "--revoked").stdout)
    assert "no ingest keys" in opslog("keys", "list").stderr
    assert not list((home / "data" / "postgres" / "run").iterdir())


def test_migrations_are_shown_and_applied(opslog):
    """Exit code 1 means that some are pending."""
    before = opslog("migrate", "status")
    dry = opslog("migrate", "up", "--dry-run")
    done = opslog("migrate", "up")
    after = opslog("migrate", "status")

    assert (before.returncode, after.returncode) == (1, 0)
    assert "pending  0001_records" in before.stdout
    assert "would apply 0001_records" in dry.stderr
    assert "applied 0001_records" in done.stderr
    assert "applied  0001_records" in after.stdout
    assert "up to date" in opslog("migrate", "up").stderr


def test_config_shows_values_and_sources_and_masks_secrets(opslog, home):
    """As text and as JSON."""
    (home / "opslog.toml").write_text("[otlp]\nport = 5555\n")
    secret = {"OPSLOG_DATABASE_URL": "postgresql://u:hunter2@h/d"}

    text = opslog("config", **secret).stdout
    rows = json.loads(opslog("config", "--json", "--changed", **secret).stdout)

    assert re.search(r"^otlp\.port = 5555 +# file .*opslog\.toml:2$", text, re.MULTILINE)
    assert re.search(r"^api\.port = 8080 +# default$", text, re.MULTILINE)
    assert "hunter2" not in text + json.dumps(rows)
    shown = {row["name"]: (row["value"], row["origin"]) for row in rows}
    assert shown["database_url"] == ("********", "environment OPSLOG_DATABASE_URL")
    assert "api.port" not in shown


def test_settings_that_cannot_be_used_are_78(opslog):
    """Every command prints the same message."""
    for command in (["config"], ["token", "--role", "NOC"], ["up"]):
        done = opslog(*command, OPSLOG_OTLP_PORT="1")
        assert done.returncode == 78
        assert "did you mean OPSLOG_OTLP__PORT?" in done.stderr


def test_an_unreachable_database_exits_with_75(opslog):
    """A retry may help; the address with its password is not shown."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        dsn = f"postgresql://u:hunter2@127.0.0.1:{port}/d"
        done = opslog("migrate", "up", OPSLOG_DATABASE_URL=dsn)

    assert done.returncode == 75
    assert "does not answer" in done.stderr
    assert "hunter2" not in done.stderr


def test_a_database_address_that_is_none_is_78(opslog):
    """The message omits the address, which may contain a password."""
    done = opslog("migrate", "up", OPSLOG_DATABASE_URL="mysql://u:hunter2@h/d")

    assert done.returncode == 78
    assert "hunter2" not in done.stderr


def test_the_doctor_reports_problem_reason_and_fix(opslog, home):
    """A problem means exit code 1."""
    opslog("token", "--role", "NOC")
    (home / "data" / "secrets" / "jwt-private.pem").chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = opslog("doctor", OPSLOG_OTLP__PORT=port, OPSLOG_API__PORT="0")

    assert done.returncode == 1
    assert f"ERROR   port {port} on 127.0.0.1 is in use" in done.stdout
    assert "is readable for other accounts" in done.stdout
    assert "fix: chmod 600" in done.stdout


def test_the_doctor_finds_no_problem_on_a_good_machine(opslog):
    """Advice is not a problem."""
    done = opslog("doctor", OPSLOG_OTLP__PORT="0", OPSLOG_API__PORT="0")

    assert done.returncode == 0, done.stdout
    assert "ok      all packages are opslog's own" in done.stdout
    assert "ERROR" not in done.stdout


def test_the_doctor_detects_a_full_spool_disk(opslog):
    """More free space is required than any disk has."""
    done = opslog("doctor", OPSLOG_SPOOL__MIN_FREE_BYTES="900TiB", OPSLOG_OTLP__PORT="0")

    assert "ERROR" in done.stdout
    assert "exports are refused with 503" in done.stdout


def test_the_demonstration_says_when_nobody_is_there(opslog):
    """The message includes the fix."""
    alone = opslog("demo")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        there = f"http://127.0.0.1:{closed.getsockname()[1]}"
        nobody = opslog("demo", "--endpoint", there)

    assert (alone.returncode, nobody.returncode) == (1, 1)
    assert re.search(r"start it with `\S*opslog up`", alone.stderr)
    assert f"cannot connect to {there}: [Errno" in nobody.stderr


def test_a_pipe_that_closes_is_quiet(environment, home):
    """`opslog config | head -1`."""
    done = subprocess.run(
        f"'{sys.executable}' -P -m opslog config | head -1",
        shell=True,
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def with_command(body: str) -> list[str]:
    """Our command line with one more command, `extra`."""
    code = f"import time, opslog.__main__ as m\nm.app.command('extra')(lambda: {body})\nm.main()"
    return [sys.executable, "-c", code, "extra"]


def test_ctrl_c_is_130():
    """As shells expect it."""
    with subprocess.Popen(
        with_command("print('here', flush=True) or time.sleep(60)"), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"here\n"
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 130


def test_a_bug_is_reported_without_values():
    """Place and type only; the value may belong to a record."""
    done = subprocess.run(
        with_command("{}['alice@shop.example']"), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert "internal error, please report it" in done.stderr
    assert "KeyError" in done.stderr
    assert "alice" not in done.stderr
