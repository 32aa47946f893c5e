"""Every setting, typed, with its unit in its name and its reason in its text.

The texts become docs/reference/settings.md. load.py finds the values: environment (OPSLOG_…, `__`
for nesting, `…_FILE` for secrets) over opslog.toml over the defaults here.
"""

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from config.retention import MAX_RULES, RetentionRule, check_rules

MIB = 2**20
GIB = 2**30


class Section(BaseModel):
    """A group of settings: frozen, unknown names refused, texts taken from the docstrings."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _check_tls(section: str, cert: Path | None, key: Path | None) -> None:
    if (cert is None) != (key is None):
        raise ValueError(f"{section}.tls_cert and {section}.tls_key belong together; set both")


Port = Annotated[int, Field(ge=0, le=65535)]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address to listen on."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class OtlpSettings(Section):
    """Where telemetry comes in, and how much of it at once."""

    host: str = "127.0.0.1"
    """Address to listen on. Any other than loopback requires ingest keys."""
    port: Port = 4318
    """TCP port; 0 takes a free one."""
    path_prefix: str = ""
    """Also answer under this prefix, for instance `/otlp`."""
    require_key: bool = False
    """Ask for an ingest key even on loopback. Always on for other addresses."""
    receivers: Annotated[int, Field(ge=0, le=64)] = 0
    """Receiver processes; 0 means half of the cores, at least one."""
    max_body_bytes: Annotated[int, Field(ge=1024, le=GIB)] = 64 * MIB
    """Largest body after decompression (OTLP 1.11 recommends 64 MiB); larger ones get 413."""
    max_inflight_bytes: Annotated[int, Field(ge=MIB)] = 256 * MIB
    """Memory of all requests being read at once; beyond it 503 with Retry-After."""
    header_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """A connection that has not sent its headers by then is closed."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """A body that is not whole by then gets 408."""
    min_body_bytes_per_s: Annotated[int, Field(ge=0)] = 1024
    """A body slower than this after ten seconds gets 408; 0 switches the check off."""
    keepalive_timeout_s: Annotated[float, Field(gt=0)] = 75.0
    """Idle connections are kept this long."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Open connections of one receiver; further ones wait."""
    max_connections_per_peer: Annotated[int, Field(ge=1)] = 2048
    """… of them from one address; further ones are closed. Keeps one host from locking others
    out; a proxy that opens more needs more."""
    cors_origins: list[str] = []
    """Origins whose browsers may send telemetry, for instance `https://shop.example`."""
    duplicate_window_s: Annotated[int, Field(ge=0, le=30 * 86400)] = 3600
    """How long a request is remembered so that a retry is not stored twice; 0 switches it off."""
    tls_cert: Path | None = None
    """PEM certificate chain; with tls_key switches the listener to TLS 1.2 or newer."""
    tls_key: Path | None = None
    """PEM private key of tls_cert."""
    tls_client_ca: Path | None = None
    """PEM of authorities; with it clients must show a certificate (mTLS)."""

    @property
    def requires_keys(self) -> bool:
        """Whether senders must show an ingest key: always, except on loopback."""
        return self.require_key or not is_loopback(self.host)

    @model_validator(mode="after")
    def _belong_together(self) -> "OtlpSettings":
        _check_tls("otlp", self.tls_cert, self.tls_key)
        if self.tls_client_ca and not self.tls_cert:
            raise ValueError("otlp.tls_client_ca needs otlp.tls_cert and otlp.tls_key")
        if self.path_prefix and (self.path_prefix[0] != "/" or self.path_prefix[-1] == "/"):
            raise ValueError("otlp.path_prefix begins with a slash and does not end with one")
        return self


class ApiSettings(Section):
    """Where answers go out: API, page, health, metrics."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8080
    """TCP port; 0 takes a free one."""
    public_url: str = ""
    """Address that people use, when a proxy stands in front; else made from host and port."""
    statement_timeout_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """Longest a question may run in the database."""
    pool_connections: Annotated[int, Field(ge=1, le=200)] = 8
    """Database connections of the query server; half as many more keep plans for ids."""
    user_concurrency: Annotated[int, Field(ge=1, le=100)] = 6
    """Questions of one token at a time; further ones get 429. Below pool_connections, so that one
    asker with slow questions cannot keep all others out; browsers ask six things at a time."""
    header_timeout_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    """A connection that has not sent its headers by then is closed."""
    body_timeout_s: Annotated[float, Field(gt=0, le=300)] = 30.0
    """A body that is not whole by then gets 408."""
    keepalive_timeout_s: Annotated[float, Field(gt=0)] = 75.0
    """Idle connections are kept this long."""
    max_connections: Annotated[int, Field(ge=1)] = 4096
    """Open connections; further ones wait."""
    max_connections_per_peer: Annotated[int, Field(ge=1)] = 2048
    """… of them from one address; further ones are closed."""
    tls_cert: Path | None = None
    """PEM certificate chain; with tls_key switches the listener to TLS 1.2 or newer."""
    tls_key: Path | None = None
    """PEM private key of tls_cert."""
    trusted_proxies: list[str] = []
    """Addresses or networks whose X-Forwarded-For and X-Forwarded-Proto are believed."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, proxies: list[str]) -> list[str]:
        for text in proxies:
            try:
                ipaddress.ip_network(text, strict=False)
            except ValueError:
                raise ValueError(f"{text!r} is no address or network like 10.0.0.0/8") from None
        return proxies

    @model_validator(mode="after")
    def _belong_together(self) -> "ApiSettings":
        _check_tls("api", self.tls_cert, self.tls_key)
        return self


class AuthSettings(Section):
    """Whose tokens are believed."""

    issuer: str = "opslog"
    """Exact `iss` of accepted tokens."""
    audience: str = "opslog"
    """Exact `aud` of accepted tokens."""
    role_claim: str = "role"
    """Claim that holds the role; dots descend into objects."""
    role_map: dict[str, str] = {}
    """Their role name to ours, for instance `{"ops": "NOC"}`."""
    modules_claim: str = "source_modules"
    """Claim with the list of source modules whose records a token may see; without it, all."""
    jwks_url: str = ""
    """Where a foreign issuer publishes its keys (https, or http on loopback)."""
    public_key_file: Path | None = None
    """PEM public key of a foreign issuer, instead of jwks_url."""
    leeway_s: Annotated[int, Field(ge=0, le=300)] = 30
    """Clock difference that is forgiven."""
    token_hours: Annotated[float, Field(gt=0, le=24)] = 12.0
    """Lifetime of tokens that `opslog token` makes."""


class SpoolSettings(Section):
    """Where accepted requests wait on disk until PostgreSQL has them."""

    directory: Path | None = None
    """Must be a local disk: fsync over a network file system proves nothing. Default: spool/ in
    the data directory."""
    max_bytes: Annotated[int, Field(ge=MIB)] = 8 * GIB
    """Above this new exports get 503 with Retry-After."""
    min_free_bytes: Annotated[int, Field(ge=0)] = 512 * MIB
    """Below this much free disk new exports get 503, before writes start to fail."""
    file_bytes: Annotated[int, Field(ge=64 * 1024)] = 64 * MIB
    """Size at which the next spool file is begun."""
    append_timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    """A request that the disk has not taken by then gets 503 with Retry-After. SDKs wait 10 s for
    an answer and send again."""

    @model_validator(mode="after")
    def _files_fit(self) -> "SpoolSettings":
        if self.file_bytes * 2 > self.max_bytes:
            raise ValueError("spool.file_bytes must be at most half of spool.max_bytes")
        return self


class WriterSettings(Section):
    """How waiting frames become transactions."""

    linger_ms: Annotated[float, Field(ge=0, le=500)] = 10.0
    """How long the writer waits for company before each flush, unless much waits already."""
    max_rows: Annotated[int, Field(ge=1)] = 20_000
    """Most rows of one transaction; a single request may be larger."""
    max_bytes: Annotated[int, Field(ge=64 * 1024)] = 16 * MIB
    """Most COPY bytes of one transaction."""
    connections: Annotated[int, Field(ge=1, le=16)] = 1
    """Transactions at the same time per receiver."""
    memory_bytes: Annotated[int, Field(ge=MIB)] = 16 * MIB
    """Waiting frames kept in memory; beyond it the writer reads them back from the spool."""


class StorageSettings(Section):
    """Segments and limits of the store."""

    segment_rows: Annotated[int, Field(ge=1000)] = 250_000
    """A segment is rolled over at this many rows; classes of more than 300 such segments get
    larger ones, up to four times that."""
    segment_bytes: Annotated[int, Field(ge=MIB)] = 256 * MIB
    """… or at this many COPY bytes."""
    segment_age_s: Annotated[int, Field(ge=1, le=7 * 86400)] = 86400
    """… or at this age, so that retention is late by at most that."""
    max_bytes: Annotated[int, Field(ge=0)] = 0
    """Size limit of the store in the database; beyond it the oldest segments of the lowest level
    go, whatever their rule, down to its floor. 0 means none."""
    no_trigrams: list[str] = ["debug"]
    """Retention classes without a trigram index on the message, which is a fifth of a sealed
    segment: words are searched in them by reading."""
    seal_yield_rows_per_s: Annotated[int, Field(ge=1)] = 40_000
    """Sealing waits while more rows than this arrive, up to a quarter of an hour a segment."""
    seal_read_back: bool = True
    """Before a segment is sealed, read it and compare each batch with the hash taken at its
    arrival (5 us of database time a row)."""


class RetentionSettings(Section):
    """How long records are kept, and when the expired ones go."""

    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "03:00"
    """Time of day (UTC) at which expired segments are dropped."""
    rules: Annotated[list[RetentionRule], Field(max_length=MAX_RULES)] = []
    """`[[retention.rules]]`: name, keep, floor, and what they match (docs/retention.md). Without
    any: DEBUG 7d, INFO 30d, WARN 90d, ERROR 180d, CRITICAL 365d, audit 365d."""

    @field_validator("rules")
    @classmethod
    def _make_sense_together(cls, rules: list[RetentionRule]) -> list[RetentionRule]:
        check_rules(rules)
        return rules


class LedgerSettings(Section):
    """The signed ledger: how often, and who else is told its newest head."""

    checkpoint_s: Annotated[float, Field(ge=0.05, le=60)] = 1.0
    """New entries are signed this often."""
    heartbeat_s: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """Without new entries a head is signed this often."""
    publish_url: str = ""
    """Is sent the newest head by POST. Best on another machine, under another administrator."""
    publish_token: SecretStr | None = None
    """Bearer token for publish_url."""
    publish_every_s: Annotated[float, Field(ge=1, le=86400)] = 60.0
    """Pause between two heads sent to publish_url; what is older cannot be changed unnoticed."""


class LimitSettings(Section):
    """Limits of one record; what is longer is cut and marked, never refused."""

    message_bytes: Annotated[int, Field(ge=1024)] = 1 * MIB
    """Longest message."""
    value_bytes: Annotated[int, Field(ge=1024)] = 1 * MIB
    """Longest string inside attributes and body."""
    key_bytes: Annotated[int, Field(ge=256)] = 1024
    """Longest attribute key."""
    attributes: Annotated[int, Field(ge=128)] = 1024
    """Most attributes of one record, resource or scope (OpenTelemetry's own default is 128)."""
    depth: Annotated[int, Field(ge=8, le=200)] = 64
    """Deepest nesting of maps and lists that is kept as structure."""
    request_rows: Annotated[int, Field(ge=10_000)] = 300_000
    """Most records of one request, span events and links counted as well. Further records are
    rejected: two bytes of a body can be a record, and a kilobyte of memory."""


class MappingSettings(Section):
    """Choices in how OpenTelemetry becomes a record."""

    source_module_attribute: str = "source.module"
    """Attribute that names the source module when it is there."""
    action_attribute: str = "action"
    """Attribute that names the action when it is there."""
    scope_first: list[str] = []
    """Services whose scope name, not service.name, is the source module (modular monoliths)."""
    resource_pairs: list[str] = []
    """Extra sources of resourceType/resourceId: `file.path`, `db`, `messaging.destination.name`,
    `k8s`."""


class RedactionSettings(Section):
    """Which secrets are hidden, and what is put in their place."""

    enable: list[str] = []
    """Rules to switch on that are off by default (us_ssn, phone, iban, ip_address)."""
    disable: list[str] = []
    """Rules to switch off, by name."""
    replace: dict[str, str] = {}
    """Rule to `marker`, `hmac`, `last4` or `drop`."""
    allow_keys: list[str] = []
    """Attribute names that are never taken for secret-named."""
    secret_keys: list[str] = []
    """Further names whose values are secrets."""
    rules: list[dict[str, object]] = []
    """Own rules: name, pattern, and validator, replacement, keys, allow."""


class LogSettings(Section):
    """opslog's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level that is written."""
    format: Literal["auto", "json", "text"] = "auto"
    """`auto`: text on a terminal, JSON lines elsewhere."""


class Settings(Section):
    """The whole of opslog's settings."""

    data_dir: Path = Path()
    """Everything that opslog keeps. Default: the user's data folder; for root, /var/lib/opslog."""
    database_url: SecretStr | None = None
    """PostgreSQL 16 or newer, `postgresql://…`; without it opslog starts its own."""
    redis_url: SecretStr | None = None
    """Redis or Valkey (`redis://…`, `rediss://…`, `unix://…`); without it opslog starts its own."""
    insecure_redis: bool = False
    """Take a Redis on another machine without password or TLS: whoever reaches it decides when
    retention runs, and reads what is queued."""
    run_as: str = ""
    """Account for the embedded servers when opslog runs as root; default: opslog, postgres, else
    nobody."""
    secrets_dir: Path | None = None
    """Keys of this installation; default: secrets/ in the data directory."""
    stop_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """On SIGTERM: longest time for a process to finish what it has in hand."""
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

    @model_validator(mode="after")
    def _ports_differ(self) -> "Settings":
        if self.otlp.port and (self.otlp.host, self.otlp.port) == (self.api.host, self.api.port):
            raise ValueError("otlp.port and api.port must differ")
        return self
