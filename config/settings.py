"""All settings, typed, with their unit in the name and a help text.

The help texts become docs/reference/settings.md. load.py reads the values: environment (OPSLOG_…,
`__` for nesting, `…_FILE` for secrets) over opslog.toml over the defaults here.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from config.retention import MAX_RULES, RetentionRule, check_rules

MIB = 2**20
GIB = 2**30


class Section(BaseModel):
    """A group of settings: frozen, no unknown names, help texts from the docstrings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _check_tls(section: str, cert: Path | None, key: Path | None) -> None:
    if (cert is None) != (key is None):
        raise ValueError(f"{section}.tls_cert and {section}.tls_key must be set together")


Port = Annotated[int, Field(ge=0, le=65535)]


def is_loopback(host: str) -> bool:
    """Whether a listen address is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OtlpSettings(Section):
    """The OTLP receiver: listener, limits and deadlines."""

    host: str = "127.0.0.1"
    """Listen address. Any address other than loopback requires ingest keys."""
    port: Port = 4318
    """TCP port; 0 selects a free one."""
    path_prefix: str = ""
    """Additional path prefix, for example `/otlp`."""
    require_key: bool = False
    """Require an ingest key even on loopback. Always required on other addresses."""
    receivers: Annotated[int, Field(ge=0, le=64)] = 0
    """Number of receiver processes; 0 means half of the cores, at least one."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=GIB)] = 64 * MIB
    """Maximum body size after decompression (OTLP 1.11 recommends 64 MiB); larger ones get 413."""
    max_inflight_bytes: Annotated[int, Field(ge=MIB)] = 256 * MIB
    """Maximum memory of all requests in flight; beyond it 503 with Retry-After."""
    header_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Timeout for request headers; the connection is closed."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Timeout for the request body; 408."""
    min_body_bytes_per_s: Annotated[int, Field(ge=0)] = 1024
    """Minimum body rate after the first ten seconds; slower bodies get 408. 0 disables it."""
    keepalive_timeout_s: Annotated[float, Field(gt=0)] = 75.0
    """Timeout of idle connections."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Maximum open connections per receiver; further ones wait in the backlog."""
    max_connections_per_peer: Annotated[int, Field(ge=1)] = 2048
    """Maximum open connections per client address; further ones are closed. Prevents one host from
    locking out others; raise it for a proxy that opens more."""
    cors_origins: list[str] = []
    """Origins allowed to send telemetry from browsers, for example `https://shop.example`."""
    duplicate_window_s: Annotated[int, Field(ge=0, le=30 * 86400)] = 3600
    """How long requests are remembered to detect duplicates caused by retries; 0 disables this."""
    tls_cert: Path | None = None
    """PEM certificate chain; together with tls_key enables TLS 1.2 or newer."""
    tls_key: Path | None = None
    """PEM private key of tls_cert."""
    tls_client_ca: Path | None = None
    """PEM file of CA certificates; if set, clients must present a certificate (mTLS)."""

    @property
    def requires_keys(self) -> bool:
        """Whether senders must present an ingest key: always, except on loopback."""
        return self.require_key or not is_loopback(self.host)

    @model_validator(mode="after")
    def _check(self) -> "OtlpSettings":
        _check_tls("otlp", self.tls_cert, self.tls_key)
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("otlp.tls_client_ca requires otlp.tls_cert and otlp.tls_key")
        if self.path_prefix and (self.path_prefix[0] != "/" or self.path_prefix[-1] == "/"):
            raise ValueError("otlp.path_prefix must begin with a slash and not end with one")
        return self


class ApiSettings(Section):
    """The query server: API, viewer, health, metrics."""

    host: str = "127.0.0.1"
    """Listen address."""
    port: Port = 8080
    """TCP port; 0 selects a free one."""
    public_url: str = ""
    """URL that users open, if it is behind a proxy; default: built from host and port. Browsers
    that do not send Sec-Fetch-Site (plain HTTP) may only make changes from it."""
    statement_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Time limit of a query, in the database and over packs."""
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    """Number of query processes, which share the port; 0 means half of the cores, at least one.
    The other limits hold over all of them."""
    pool_connections: Annotated[int, Field(ge=1, le=200)] = 8
    """Database connections for queries; half as many again serve lookups by id. Divided among the
    query processes."""
    user_concurrency: Annotated[int, Field(ge=1, le=100)] = 6
    """Concurrent queries per token; further ones get 429. Browsers send six requests at a time."""
    header_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """Timeout for request headers; the connection is closed."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """Timeout for the request body; 408."""
    keepalive_timeout_s: Annotated[float, Field(gt=0)] = 75.0
    """Timeout of idle connections."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Maximum open connections; further ones wait in the backlog. Divided among the query
    processes, as the next one is."""
    max_connections_per_peer: Annotated[int, Field(ge=1)] = 2048
    """Maximum open connections per client address; further ones are closed."""
    tls_cert: Path | None = None
    """PEM certificate chain; together with tls_key enables TLS 1.2 or newer."""
    tls_key: Path | None = None
    """PEM private key of tls_cert."""
    trusted_proxies: list[str] = []
    """Addresses or networks whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host headers
    are trusted."""

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if url and (parts.scheme not in {"http", "https"} or not parts.hostname):
            raise ValueError(f"{url!r} is not an address like https://logs.example.com/opslog")
        return url

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: list[str]) -> list[str]:
        for text in proxies:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f"{text!r} is not an address or network like 10.0.0.0/8") from None
        return proxies

    @model_validator(mode="after")
    def _check(self) -> "ApiSettings":
        _check_tls("api", self.tls_cert, self.tls_key)
        return self


class AuthSettings(Section):
    """Which API tokens are accepted."""

    issuer: str = "opslog"
    """Required `iss` of tokens, exact match."""
    audience: str = "opslog"
    """Required `aud` of tokens, exact match."""
    role_claim: str = "role"
    """Claim with the role, or with a list, of which the strongest known role counts; dots select
    nested members, as in realm_access.roles."""
    role_map: dict[str, str] = {}
    """Maps the issuer's role names to opslog's, for example `{"ops": "NOC"}`."""
    modules_claim: str = "source_modules"
    """Claim with the source modules that a token may read; without the claim, all."""
    jwks_url: str = ""
    """JWKS URL of an external issuer (https, or http on loopback)."""
    public_key_file: Path | None = None
    """PEM public key of an external issuer, instead of jwks_url."""
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 30
    """Tolerated clock skew."""
    token_hours: Annotated[float, Field(gt=0, le=24)] = 12.0
    """Lifetime of tokens created by `opslog token`."""


class SpoolSettings(Section):
    """On-disk queue of accepted requests until they are in PostgreSQL."""

    directory: Path | None = None
    """Must be on a local disk (fsync must be reliable). Default: spool/ in the data directory."""
    max_bytes: Annotated[int, Field(ge=MIB)] = 8 * GIB
    """Maximum size; beyond it new exports get 503 with Retry-After."""
    min_free_bytes: Annotated[int, Field(ge=0)] = 512 * MIB
    """Minimum free disk space; below it new exports get 503, before writes start to fail."""
    file_bytes: Annotated[int, Field(ge=64 * 1024)] = 64 * MIB
    """Size at which a new spool file is started."""
    append_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Timeout for writing a request to disk; 503 with Retry-After. SDKs time out after 10 s."""

    @model_validator(mode="after")
    def _files_fit(self) -> "SpoolSettings":
        if self.file_bytes * 2 > self.max_bytes:
            raise ValueError("spool.file_bytes must be at most half of spool.max_bytes")
        return self


class WriterSettings(Section):
    """How pending frames are grouped into transactions."""

    linger_ms: Annotated[float, Field(ge=0, le=500)] = 10.0
    """How long the writer waits for more frames before each flush, unless many are pending."""
    max_rows: Annotated[int, Field(ge=1)] = 20_000
    """Maximum rows per transaction; a single request may exceed it."""
    max_bytes: Annotated[int, Field(ge=64 * 1024)] = 16 * MIB
    """Maximum COPY bytes per transaction."""
    connections: Annotated[int, Field(ge=1, le=16)] = 1
    """Concurrent transactions per receiver."""
    memory_bytes: Annotated[int, Field(ge=MIB)] = 16 * MIB
    """Maximum size of pending frames in memory; the writer reads the others back from the spool."""


class StorageSettings(Section):
    """Segments and size limits in the database."""

    segment_rows: Annotated[int, Field(ge=1000)] = 250_000
    """Rows at which a segment is rolled over; classes with more than 300 such segments get larger
    ones, up to four times this size."""
    segment_bytes: Annotated[int, Field(ge=MIB)] = 256 * MIB
    """COPY bytes at which a segment is rolled over."""
    segment_age_s: Annotated[int, Field(ge=1, le=7 * 86400)] = 86400
    """Age at which a segment is rolled over; also the maximum delay of retention."""
    max_bytes: Annotated[int, Field(ge=0)] = 0
    """Maximum size of all segments, in the database and in packs; beyond it the oldest segments of
    the lowest level are dropped before their retention ends, but not before its `floor`. 0 means no
    limit."""
    packs_dir: Path | None = None
    """Directory of the packs: durable, and the same for every process that packs or queries.
    Default: packs/ in the data directory with the embedded PostgreSQL. With `database_url` it must
    be set; without it nothing is packed."""
    pack_after: Annotated[float, Field(ge=0, le=30 * 86400)] = 0.0
    """Seconds that a closed segment stays in PostgreSQL before it is packed."""
    pack_workers: Annotated[int, Field(ge=0, le=64)] = 1
    """Number of packer processes of `opslog up`; 0 leaves packing to other machines."""
    pack_max_lag_s: Annotated[float, Field(ge=0, le=86400)] = 60.0
    """Longest time that packing a segment is postponed while many records arrive."""


class RetentionSettings(Section):
    """How long records are kept, and when expired ones are removed."""

    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "03:00"
    """Time of day (UTC) at which expired segments are dropped."""
    rules: Annotated[list[RetentionRule], Field(max_length=MAX_RULES)] = []
    """`[[retention.rules]]`: name, keep, floor and conditions (docs/retention.md). Without rules:
    DEBUG 7d, INFO 30d, WARN 90d, ERROR 180d, CRITICAL 365d, audit 365d."""

    @field_validator("rules")
    @classmethod
    def _check(cls, rules: list[RetentionRule]) -> list[RetentionRule]:
        check_rules(rules)
        return rules


class LedgerSettings(Section):
    """The signed ledger: signing intervals and publication of its heads."""

    checkpoint_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    """Signing interval while there are new entries."""
    heartbeat_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Signing interval without new entries."""
    publish_url: str = ""
    """URL that receives the latest signed head by POST; preferably under another administrator."""
    publish_token: SecretStr | None = None
    """Bearer token for publish_url."""
    publish_every_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """Publication interval; later changes to what a published head covers are detectable."""


class LimitSettings(Section):
    """Limits per record; longer values are truncated and marked, never rejected."""

    message_bytes: Annotated[int, Field(ge=1024)] = 1 * MIB
    """Maximum length of the message."""
    value_bytes: Annotated[int, Field(ge=1024)] = 1 * MIB
    """Maximum length of a string in attributes or body."""
    key_bytes: Annotated[int, Field(ge=256)] = 1024
    """Maximum length of an attribute key."""
    attributes: Annotated[int, Field(ge=128)] = 1024
    """Maximum attributes per record, resource or scope (OpenTelemetry's own default is 128)."""
    depth: Annotated[int, Field(ge=8, le=200)] = 64
    """Maximum nesting of maps and lists; deeper values are replaced by a marker."""
    request_rows: Annotated[int, Field(ge=10_000)] = 300_000
    """Maximum records per request, including span events and links. Further records are rejected:
    a record can be two bytes in the body and a kilobyte in memory."""


class MappingSettings(Section):
    """How OpenTelemetry data is mapped to records."""

    source_module_attribute: str = "source.module"
    """Attribute that sets the source module, if present."""
    action_attribute: str = "action"
    """Attribute that sets the action, if present."""
    scope_first: list[str] = []
    """Services whose source module is the scope name, not service.name (modular monoliths)."""
    resource_pairs: list[str] = []
    """Extra sources of resource ids: `file.path`, `db`, `messaging.destination.name`, `k8s`."""


class RedactionSettings(Section):
    """Which secrets are redacted, and how they are replaced."""

    enable: list[str] = []
    """Rules to enable that are disabled by default (us_ssn, phone, iban, ip_address)."""
    disable: list[str] = []
    """Rules to disable, by name."""
    replace: dict[str, str] = {}
    """Replacement by rule: `marker`, `hmac`, `last4` or `drop`."""
    allow_keys: list[str] = []
    """Attribute names that are never treated as names of secrets."""
    secret_keys: list[str] = []
    """Additional attribute names whose values are secrets."""
    rules: list[dict[str, object]] = []
    """Custom rules: name, pattern, and optionally validator, replacement, keys, allow."""


class LogSettings(Section):
    """opslog's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Minimum level."""
    format: Literal["auto", "json", "text"] = "auto"
    """`auto`: text on a terminal, JSON lines elsewhere."""


class Settings(Section):
    """All settings of opslog."""

    data_dir: Path = Path()
    """Data directory. Default: the user's data folder; for root, /var/lib/opslog."""
    database_url: SecretStr | None = None
    """PostgreSQL 16 or newer, `postgresql://…`; default: an embedded server."""
    redis_url: SecretStr | None = None
    """Redis or Valkey (`redis://…`, `rediss://…`, `unix://…`); default: an embedded server."""
    insecure_redis: bool = False
    """Allow a Redis on another machine without password or TLS: anyone who can reach it can trigger
    retention jobs and read queued jobs."""
    run_as: str = ""
    """Account of the embedded servers under root; default: opslog, postgres, else nobody."""
    secrets_dir: Path | None = None
    """Directory of this installation's keys; default: secrets/ in the data directory."""
    stop_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """On SIGTERM: maximum time for a process to finish its work."""
    otlp: OtlpSettings = OtlpSettings()
    api: ApiSettings = ApiSettings()
    auth: AuthSettings = AuthSettings()
    spool: SpoolSettings = SpoolSettings()
    writer: WriterSettings = WriterSettings()
    storage: StorageSettings = StorageSettings()
    retention: RetentionSettings = RetentionSettings()
    ledger: LedgerSettings = LedgerSettings()
    limits: LimitSettings = LimitSettings()
    mapping: MappingSettings = MappingSettings()
    redaction: RedactionSettings = RedactionSettings()
    log: LogSettings = LogSettings()

    @property
    def packs_dir(self) -> Path | None:
        """The directory of the packs; None: none is known, so nothing is packed."""
        if self.storage.packs_dir is not None or self.database_url is not None:
            return self.storage.packs_dir
        return self.data_dir / "packs"

    @model_validator(mode="after")
    def _ports_differ(self) -> "Settings":
        if self.otlp.port and (self.otlp.host, self.otlp.port) == (self.api.host, self.api.port):
            raise ValueError("otlp.port and api.port must differ")
        return self
