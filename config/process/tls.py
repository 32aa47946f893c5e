"""TLS of a listener: 1.2 or newer, optional client certificates, reload of renewed files.

A renewed certificate applies to new connections; open ones continue.
"""

import logging
import ssl
from pathlib import Path
from typing import Self

from config.errors import SetupError
from config.settings import ApiSettings, OtlpSettings

_log = logging.getLogger(__name__)


class TlsRefused(SetupError):
    """The certificate, key or CA file cannot be used."""

    code = "tls_refused"
    title = "Cannot load the TLS files of a listener"


class TlsContext:
    """The SSL context for new connections, recreated when a file changes."""

    def __init__(self, cert: Path, key: Path, client_ca: Path | None) -> None:
        self._cert = cert
        self._key = key
        self._client_ca = client_ca
        self._seen = self._stamps()
        self.current = self._make()

    @classmethod
    def of(cls, settings: OtlpSettings | ApiSettings) -> Self | None:
        """The context for these settings; None for plain HTTP. Raises TlsRefused."""
        if settings.tls_cert is None or settings.tls_key is None:  # never one of them alone
            return None
        client_ca = settings.tls_client_ca if isinstance(settings, OtlpSettings) else None
        return cls(settings.tls_cert, settings.tls_key, client_ca)

    def reload_if_changed(self) -> None:
        """Reload renewed files; keep the old context and retry later while they are incomplete."""
        stamps = self._stamps()
        if stamps == self._seen:
            return
        try:
            self.current = self._make()
        except TlsRefused as error:
            _log.warning("TLS files have changed but cannot be loaded yet: %s", error)
        else:
            self._seen = stamps
            _log.info("TLS files reloaded")

    def _make(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        try:
            # Without a password OpenSSL would prompt on the terminal for an encrypted key.
            context.load_cert_chain(self._cert, self._key, password=b"")
        except (OSError, ssl.SSLError) as error:
            raise TlsRefused(f"{self._cert} with {self._key}: {_reason(error)}") from error
        if self._client_ca is not None:
            try:
                context.load_verify_locations(self._client_ca)
            except (OSError, ssl.SSLError) as error:
                raise TlsRefused(f"{self._client_ca}: {_reason(error)}") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _stamps(self) -> list[int]:
        files = (self._cert, self._key, self._client_ca)
        return [_modified_ns(file) for file in files if file is not None]


def _modified_ns(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__
