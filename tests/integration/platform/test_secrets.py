"""Keys, tokens and passwords do not leak (T4, T51 to T54, T57)."""

import base64
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product import Product, command_of
from tests.support.senders import numbered_body

pytestmark = pytest.mark.slow

PUBLISH_TOKEN = "canary-publish-token-5512"
OPEN_FILES = {"postgres/opslog.conf", "postgres/local.conf"}
"""Settings of the bundled PostgreSQL: no secrets, and its account has to read them."""
OTHER_USER = 54321
"""A user id that no account has."""


@pytest.fixture(scope="module")
def product():
    with Product.running(
        OPSLOG_LOG__LEVEL="debug",
        OPSLOG_OTLP__REQUIRE_KEY="true",
        OPSLOG_LEDGER__PUBLISH_URL="http://127.0.0.1:1/heads",
        OPSLOG_LEDGER__PUBLISH_TOKEN=PUBLISH_TOKEN,
    ) as running:
        yield running


def spellings(secret: bytes) -> set[bytes]:
    """A secret as it might leak: as it is, in hex, in base64 (whole groups of it)."""
    body = b"".join(line for line in secret.splitlines() if not line.startswith(b"-----"))
    return {body, secret.strip(), body.hex().encode(), base64.b64encode(body)[:-4]}


def secrets_of(product: Product) -> dict[str, set[bytes]]:
    folder = product.data_dir / "secrets"
    private = [
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith((".", "jwt-public"))
    ]
    assert {path.name for path in private} >= {"jwt-private.pem", "evidence.pem", "cursor.key"}
    found = {path.name: spellings(path.read_bytes()) for path in private}
    return found | {"publish token": {PUBLISH_TOKEN.encode()}}


def leaks(secrets: dict[str, set[bytes]], data: bytes) -> list[str]:
    return [name for name, forms in secrets.items() if any(form in data for form in forms)]


def test_no_secret_is_in_anything_that_is_shown_or_written(product):
    """T4, T51, T52: logs, responses, metrics, command lines, the database, the spool."""
    key = product.command("keys", "create", "shop").strip()
    token = product.token("SUPER_ADMIN")
    shown = []

    def send(authorization: str, path: str = "/v1/logs") -> int:
        headers = {"Authorization": authorization, "Content-Type": "application/x-protobuf"}
        response = product.request(
            path, base=product.otlp_url, data=numbered_body("canary", 1, 0, 3), headers=headers
        )
        shown.append(response[2] + str(response[1]).encode())
        return response[0]

    assert product.wait(lambda: send(f"Bearer {key}") == 200, 10)
    assert send(f"Basic {key}") == send(key) == send(f"Bearer {key}x") == 401
    assert send(f"Bearer {key}", f"/v1/logs?key={key}") == 200
    assert send(f"Bearer {key}", f"/v1/{key}") == 404
    assert raw(product.otlp_url, f"POST /v1/logs HTTP/1.1\r\nAuthorization: {key}\x01\r\n\r\n")
    assert raw(product.api_url, f"GET /{token} HTTP/1.1\r\nAuthorization: {token}\x01\r\n\r\n")
    for path in ("/metrics", "/readyz", "/api/v1/ingest/keys", "/api/openapi.json", f"/{token}"):
        for bearer in (token, f"{token}x", key):
            response = product.request(path, headers={"Authorization": f"Bearer {bearer}"})
            shown.append(response[2] + str(response[1]).encode())
    commands = (("config",), ("config", "--json"), ("doctor",), ("keys", "list"))
    shown.extend(product.command(*command, check=False).encode() for command in commands)
    shown.extend(command_of(pid).encode() for pid in product.pids())
    product.sql("CHECKPOINT")

    secrets = secrets_of(product) | {"ingest key": {key.encode()}, "token": {token.encode()}}
    assert leaks(secrets, b"\n".join(shown)) == []
    for path in product.folder.rglob("*"):
        place = path.relative_to(product.folder).as_posix()
        if not path.is_file() or place.startswith("data/secrets/"):
            continue
        own = {"valkey.password"} if place.endswith("valkey/valkey.conf") else set()
        assert set(leaks(secrets, path.read_bytes())) <= own, path


def raw(url: str, request: str) -> bytes:
    host, _, port = url.rpartition("//")[2].partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        line.sendall(request.encode())
        return line.recv(65536)


def test_the_search_finds_a_secret(product):
    secrets = secrets_of(product)

    for name, forms in secrets.items():
        for form in forms:
            assert name in leaks(secrets, b"x" + form + b"y")


def test_what_needs_no_token_tells_nothing_of_the_inside(product):
    """T57: names of checks, but no path, no address, no account."""
    for path in ("/livez", "/readyz", "/healthz", "/api/openapi.json", "/api/docs", "/"):
        _, headers, body = product.request(path)
        said = body + str(headers).encode()
        for inside in (product.data_dir, "postgresql://", "unix://", "/secrets", "Traceback"):
            assert str(inside).encode() not in said, path


def test_no_file_is_open_to_other_accounts(product):
    """T54: the servers' account can traverse the data directory, and no other account can read it."""
    wide = []
    for path in product.data_dir.rglob("*"):
        steps = [step for step in path.parents if step.is_relative_to(product.data_dir)]
        reached = all(step.stat().st_mode & stat.S_IXOTH for step in steps)
        place = path.relative_to(product.data_dir).as_posix()
        if reached and path.lstat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            wide.append(place)

    assert set(wide) <= OPEN_FILES


TRY_ALL = """
import os, socket, sys
os.setgroups([])
os.setgid(int(sys.argv[1]))
os.setuid(int(sys.argv[1]))
found = []
for folder, _, names in os.walk(sys.argv[2]):
    for name in names:
        path = os.path.join(folder, name)
        try:
            open(path, 'rb').close()
            found.append(path)
        except OSError:
            pass
for path in sys.argv[3:]:
    line = socket.socket(socket.AF_UNIX)
    try:
        line.connect(path)
        found.append(path)
    except OSError:
        pass
print('\\n'.join(found))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_another_account_reaches_neither_servers_nor_files(product):
    """T53: not by a socket, not by a file, even when it knows the path."""
    sockets = [str(path) for path in product.data_dir.rglob("*") if path.is_socket()]
    assert len(sockets) >= 4

    done = subprocess.run(
        [sys.executable, "-I", "-c", TRY_ALL, str(OTHER_USER), str(product.data_dir), *sockets],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )

    assert [
        Path(path).relative_to(product.data_dir).as_posix() for path in done.stdout.split()
    ] in (
        [],
        sorted(OPEN_FILES),
    )


def test_no_process_leaves_a_core_file(product):
    """T54."""
    for pid in product.pids():
        limits = Path(f"/proc/{pid}/limits").read_text()
        line = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], command_of(pid)


def test_the_bundled_servers_have_no_port(product):
    """T53, T57: only the two that are meant to be listen on TCP."""
    listening = listening_sockets()
    for name in ("postgres", "valkey", "worker", "scheduler"):
        pid = product.find(name)
        if not os.access(f"/proc/{pid}/fd", os.R_OK):
            continue  # no core files, no look by others: only root may see what it holds
        held = {str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir()}
        assert not held & listening, name


def listening_sockets() -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if Path(table).exists():
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
            found |= {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}
    return found
