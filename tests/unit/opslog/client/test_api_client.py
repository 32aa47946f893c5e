"""Whom commands send their token to."""

import http.server
import threading

import pytest

from opslog.client.api_client import Api, ApiRefused, NoApi, api


class Server:
    """Answers everything with a redirect to another of its kind, and remembers who asked how."""

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
    """T4: whoever answers for a moment must not send it elsewhere."""
    thief = Server()
    asked = Server(f"{thief.url}/stolen")
    try:
        with pytest.raises(ApiRefused):
            Api(asked.url, "canary").get("/logs")
    finally:
        asked.close()
        thief.close()

    assert asked.seen == ["Bearer canary"]
    assert thief.seen == []


def test_only_the_opslog_that_runs_here_gets_a_token_unasked(tmp_path, monkeypatch):
    """T4: a token of this installation is made for its own address and for no other."""
    monkeypatch.setenv("OPSLOG_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPSLOG_PROFILES", str(tmp_path / "none"))
    stranger = Server()
    try:
        with pytest.raises(NoApi, match="--token"):
            api(stranger.url, "", None)
    finally:
        stranger.close()

    assert stranger.seen == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "nonsense"])
def test_only_http_addresses_are_used(url):
    with pytest.raises((NoApi, ApiRefused)):
        Api(url, "canary").get("/logs")
