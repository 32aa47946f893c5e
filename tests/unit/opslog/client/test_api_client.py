"""Where commands send their token."""

import http.server
import threading

import pytest

from opslog.client.api_client import Api, ApiRefused, NoApi, api


class Server:
    """Redirects every request to another server of its kind, and records the requests."""

    def __init__(self, target=""):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append(self.headers.get("Authorization"))
                self.send_response(302 if target else 200)
                self.send_header("Location", target)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def test_a_redirect_does_not_get_the_token():
    """T4: a compromised server must not redirect it elsewhere."""
    thief = Server()
    redirecting = Server(f"{thief.url}/stolen")
    try:
        with pytest.raises(ApiRefused):
            Api(redirecting.url, "canary").get("/logs")
    finally:
        redirecting.close()
        thief.close()

    assert redirecting.seen == ["Bearer canary"]
    assert thief.seen == []


def test_only_the_local_opslog_gets_a_token_automatically(tmp_path, monkeypatch):
    """T4: a token of this installation is only sent to its own address."""
    monkeypatch.setenv("OPSLOG_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPSLOG_PROFILES", str(tmp_path / "none"))
    other = Server()
    try:
        with pytest.raises(NoApi, match="--token"):
            api(other.url, "", None)
    finally:
        other.close()

    assert other.seen == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "nonsense"])
def test_only_http_addresses_are_used(url):
    with pytest.raises((NoApi, ApiRefused)):
        Api(url, "canary").get("/logs")
