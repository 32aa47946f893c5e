"""The examples of docs/operations.md for proxies, run in front of a query server.

Each with its program, if it is installed: only addresses, ports and certificates are replaced. Without
the program the test is skipped.
"""

import asyncio
import os
import re
import shutil
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from config.settings import ApiSettings, Settings
from tests.contract.otlp.certificates import Authority
from tests.integration.query.test_sessions import OWN
from tests.support.querying import query_server

PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
SECTION = re.search(r"^## Behind a proxy$(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[1]
WHOLE, BELOW = SECTION.split("### Below a path")
UPSTREAM = "127.0.0.1:8080"


def example(kind: str, *, path: str) -> str:
    """The example in this language, for the root or below a path."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", BELOW if path else WHOLE, re.DOTALL)
    return found


def nginx(folder: Path, text: str, port: int, upstream: str, pair) -> list[str]:
    """A configuration around the example, and the command that runs it."""
    if not text.startswith("server"):
        whole = example("nginx", path="")
        text = re.sub(r"    location / \{.*?\n    \}\n", text, whole, flags=re.DOTALL)
    text = (
        text.replace(UPSTREAM, upstream)
        .replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl")
        .replace("/etc/ssl/logs.example.com.crt", str(pair.cert))
        .replace("/etc/ssl/logs.example.com.key", str(pair.key))
    )
    paths = "".join(
        f"{name}_temp_path {folder};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{paths}{text}}}\n"
    )
    return ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, text: str, port: int, upstream: str, pair) -> list[str]:
    """The example at a local address, with a given certificate."""
    site, rest = text.split(" {", 1)
    assert site in {"logs.example.com", "tools.example.com"}
    (folder / "Caddyfile").write_text(
        "{\nadmin off\nauto_https off\n}\n"
        f"https://localhost:{port} {{\ntls {pair.cert} {pair.key}\n"
        + rest.replace(UPSTREAM, upstream)
    )
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def traefik(folder: Path, text: str, port: int, upstream: str, pair) -> list[str]:
    """The example as dynamic configuration, and a static one."""
    text = re.sub(r"Host\(`\w+\.example\.com`\)", "Host(`localhost`)", text)
    certificates = (
        f"tls:\n  certificates:\n    - certFile: {pair.cert}\n      keyFile: {pair.key}\n"
    )
    (folder / "dynamic.yml").write_text(text.replace(UPSTREAM, upstream) + certificates)
    return [
        "traefik",
        f"--entryPoints.websecure.address=127.0.0.1:{port}",
        f"--providers.file.filename={folder / 'dynamic.yml'}",
    ]


PROXIES = {"nginx": ("nginx", nginx), "caddy": ("caddy", caddy), "traefik": ("yaml", traefik)}


@asynccontextmanager
async def proxied(program, path, folder, upstream):
    """The example of a program, running; yields its address and a client's TLS context."""
    kind, prepare = PROXIES[program]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    authority = Authority(folder, "ours")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = prepare(folder, example(kind, path=path), port, upstream, authority.sign("proxy"))
    environment = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stderr=log)
    try:
        await listening(port, process, folder)
        yield f"https://localhost:{port}{path}", ssl.create_default_context(cafile=authority.cert)
    finally:
        process.terminate()
        process.wait(10)


async def listening(port, process, folder):
    """Wait until the proxy accepts connections."""
    for _ in range(200):
        assert process.poll() is None, (folder / "log").read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return
    raise TimeoutError((folder / "log").read_text())


@pytest.mark.leaves_only
@pytest.mark.parametrize("path", ["", "/opslog"], ids=["root", "below a path"])
@pytest.mark.parametrize("program", PROXIES)
async def test_the_example_serves_viewer_session_and_changes(
    database, reader_pool, tmp_path, program, path
):
    """The page with its files, a secure session, a change by an old and a new browser, no other site."""
    settings = Settings(api=ApiSettings(trusted_proxies=["127.0.0.1"]))
    async with query_server(database.dsn, reader_pool, settings=settings) as server:
        upstream = f"127.0.0.1:{server.client.port}"
        async with (
            proxied(program, path, tmp_path, upstream) as (base, context),
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as browser,
        ):
            async with browser.get(f"{base}/") as index:
                page = await index.text()
            for file in re.findall(r'(?:src|href)="\./([^"]+)"', page):
                async with browser.get(f"{base}/{file}") as found:
                    assert found.status == 200, file

            token = {"Authorization": f"Bearer {server.token}", **OWN}
            async with browser.post(f"{base}/api/v1/session", headers=token) as session:
                assert session.status == 200
                assert session.headers["Set-Cookie"].startswith("__Host-opslog=")

            origin = re.match(r"https://[^/]+", base)[0]
            for sent, expected in (
                ({"Origin": origin}, 200),
                ({"Origin": origin, "Sec-Fetch-Site": "same-origin"}, 200),
                ({"Origin": "https://evil.example"}, 403),
                ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
            ):
                async with browser.post(
                    f"{base}/api/v1/redaction/test", json={"text": "x"}, headers={**OWN, **sent}
                ) as response:
                    assert response.status == expected, sent
            if path:
                async with browser.get(base, allow_redirects=False) as bare:
                    assert bare.status in {308, 404}
        assert server.accesses[-1].client_address == "127.0.0.1"


def test_there_is_an_example_for_every_program():
    """At the root and below a path; opslog's own settings are valid."""
    for kind, _ in PROXIES.values():
        assert UPSTREAM in example(kind, path="")
        assert UPSTREAM in example(kind, path="/opslog")
