"""Writes docs/reference/errors.md: every code that a client or a command can meet.

The codes are those of the classes; what to do about each is said here, in FIXES. A class without
its line there is an error, so that no code is left without a way out.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from config.errors import OpslogError, SetupError

Kinds = Sequence[type[OpslogError]]
PAGE = Path(__file__).parents[2] / "docs" / "reference" / "errors.md"
PACKAGES = ("config", "storage", "retention", "otlp_receiver", "query", "opslog")
_SOURCES = {
    "otlp_receiver": "receiver",
    "query": "API",
    "retention": "API",
    "config": "both",
    "storage": "both",
}
_HEAD = """\
# Errors

Written by `make docs` from the classes of errors and from `opslog/docs/reference_errors.py`.

A code is stable: programs may rely on it. The words beside it are for people and may change.

- The **API** (port 8080) answers with a problem document (RFC 9457): `type` is `/errors/<code>`,
  `detail` says what is wrong, `errors` names the parameters, `requestId` finds the line in the log.
- The **receiver** (port 4318) answers with a `google.rpc.Status` in the encoding of the request;
  its `message` begins with the code.
- **Again** says whether the same request may pass later. Such answers carry `Retry-After`, and
  OTLP senders repeat them by themselves; all others they drop.
"""

FIXES = {
    "api_refused": "Look at the message: it is the API's own `detail`.",
    "audit_id_taken": "Give each record an id of its own; a retry sends the same content.",
    "audit_not_written": "Look at `audit spool` in `/readyz`: a disk is full or does not answer.",
    "bad_compression": "Send what `Content-Encoding` says; look for a proxy that changes bodies.",
    "bad_http": "Send HTTP/1.1 in clear where TLS is off, and by TLS where it is on.",
    "bad_input": "Change what `errors` or the field names.",
    "bad_payload": "Compare `Content-Type` with the body; the field path says where it stops.",
    "bad_profile": "Mend profiles.toml as the message says, or name another profile.",
    "bad_query": "Look at the character that `position` counts; the page's help has the language.",
    "bad_request": "Look at the client or a proxy; `curl -v` shows what is sent.",
    "body_too_large": "Send smaller batches, or raise `otlp.max_body_bytes`.",
    "body_too_slow": "Look at the network; `otlp.body_timeout_s` and `otlp.min_body_bytes_per_s`.",
    "data_dir_busy": "Stop the process that is named, or set `OPSLOG_DATA_DIR`.",
    "database_unavailable": "Start PostgreSQL, check `database_url`; accepted records wait in the spool.",
    "database_busy": "Ask again; if it stays, ask fewer questions at a time.",
    "database_refused": "A defect: report the line of the log with this `requestId`.",
    "database_unsupported": "Change what the message names; see [database.md](database.md).",
    "demo_cannot_send": "Start opslog first, or say where to send: `--endpoint`, `--key`.",
    "evidence_key_wrong": "Put the key file back that the message names; never make a new one.",
    "filter_required": "Give a filter that leaves something out.",
    "forbidden": "Ask for a token whose role has the right that `detail` names.",
    "ingest_failed": "Nothing: it is sent again. If it stays, report the line of the log.",
    "internal": "A defect: report the line of the log.",
    "key_missing": "`opslog keys create NAME`; send `Authorization: Bearer KEY`.",
    "key_name_taken": "`opslog keys rotate NAME`, or take another name.",
    "key_refused": "Change what the message names.",
    "key_rejected": "`opslog keys list --revoked` shows whether it has ended; make a new one.",
    "key_unknown": "`opslog keys list` shows the names.",
    "keys_unknown": "Start PostgreSQL: keys are read from it once, and kept on disk from then on.",
    "ledger_behind": "Restore the newer database, or keep the old heads as evidence of the gap.",
    "method_not_allowed": "Use the method that the `Allow` header names.",
    "migration_failed": "See [the database's troubles](../troubleshooting/database.md).",
    "no_dead_letter": "List the dead letters; one goes with its class's time.",
    "no_api": "Start opslog, or say where it answers; the message names the options.",
    "no_proof": "Run `opslog verify`, and keep what it says.",
    "no_such_hold": "List the holds; it may have been released.",
    "not_signed_yet": "Ask again in a second.",
    "not_found": "Check the address, and that the record's class is one that the role may see.",
    "poison_payload": "A defect: report the line of the log. The body is kept nowhere.",
    "port_taken": "Free the port, or set another one; `ss -ltnp` shows who has it.",
    "purge_token_invalid": "Ask for a preview again and confirm that one within ten minutes.",
    "query_timeout": "Narrow the time, or name a level, a service or an id.",
    "rate_limited": "Nothing: SDKs wait. If it stays, raise the key's rate.",
    "receiver_busy": "It is sent again. If it stays: `otlp.receivers`, `otlp.max_inflight_bytes`.",
    "receiver_stopping": "Nothing: it is sent again.",
    "redis_exposed": "`rediss://:PASSWORD@HOST`, or a network of its own and `insecure_redis`.",
    "request_too_large": "Send less in one request.",
    "request_too_slow": "Send the body at once.",
    "retention_busy": "Try again when the job has ended.",
    "right_missing": "`opslog keys create NAME --right …` with the signal.",
    "schema_behind": "`opslog migrate up`.",
    "schema_edited": "Install the original release of the migration that is named.",
    "schema_newer": "Install the newer opslog again.",
    "segment_gone": "Ask again.",
    "setup": "Change what the message names.",
    "spool_busy": "Two processes have the same `--name`; stop one.",
    "spool_failed": "Look at the disk of `spool.directory` (`dmesg`); it is sent again.",
    "spool_full": "Start PostgreSQL, free disk space, or raise `spool.max_bytes`.",
    "spool_not_ready": "Start PostgreSQL: a new spool gets its number from it, once.",
    "spool_slow": "Look at the disk of `spool.directory`; `spool.append_timeout_s`.",
    "tls_refused": "Check the files that `tls_cert`, `tls_key` and `tls_client_ca` name.",
    "too_many_questions": "Wait for answers, or send fewer at a time.",
    "unauthorized": "`opslog token --role ROLE` on the server, same settings and account.",
    "unavailable": "Send it again.",
    "unknown_path": "The endpoint is the base address: SDKs add `/v1/logs` and `/v1/traces`.",
    "unsupported_content_encoding": "gzip, deflate, zstd, or none.",
    "unsupported_content_type": "`application/x-protobuf` or `application/json`.",
    "unsupported_signal": "`OTEL_METRICS_EXPORTER=none`; send logs and traces only.",
}


def error_classes() -> Kinds:
    """All of them, by code."""
    for room in PACKAGES:
        package = importlib.import_module(room)
        for found in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    ours = {kind for kind in _below(OpslogError) if kind.__module__.split(".")[0] in PACKAGES}
    return sorted(ours, key=lambda kind: (kind.code, kind.__module__))


def errors_page() -> str:
    """The whole page."""
    kinds = error_classes()
    ends = [
        kind
        for kind in kinds
        if issubclass(kind, SetupError) or kind.__module__.startswith("opslog.")
    ]
    answers = [kind for kind in kinds if kind not in ends]
    return "\n".join(
        (
            _HEAD,
            "## Answers\n",
            "| code | status | from | again | what it means | what to do |",
            "| --- | --- | --- | --- | --- | --- |",
            *_rows(answers, _answer),
            "\n## Ends of processes and commands\n",
            "The message stands on standard error after `opslog:`. Other exit codes: 0 done, 1 not",
            "done, 2 wrong usage, 130 Ctrl-C.\n",
            "| code | exit code | what it means | what to do |",
            "| --- | --- | --- | --- |",
            *_rows(ends, _end),
            "",
        )
    )


def _below(kind: type[OpslogError]) -> Iterator[type[OpslogError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _below(child)


def _rows(kinds: Kinds, row: Callable[[Kinds], str]) -> list[str]:
    """One row a code; the same code may have a class in two rooms."""
    return [row(list(same)) for _, same in groupby(kinds, key=lambda kind: kind.code)]


def _answer(same: Kinds) -> str:
    first = same[0]
    rooms = {_SOURCES.get(kind.__module__.split(".")[0], "both") for kind in same}
    speaker = rooms.pop() if len(rooms) == 1 else "both"
    again = "yes" if first.retryable else "no"
    cells = (f"`{first.code}`", str(first.status), speaker, again, _meaning(same), _fix(first))
    return f"| {' | '.join(cells)} |"


def _end(same: Kinds) -> str:
    first = same[0]
    return f"| `{first.code}` | {first.exit_code} | {_meaning(same)} | {_fix(first)} |"


def _meaning(same: Kinds) -> str:
    """Titles are short; the first sentence of a class says more, but for the heads of families."""
    texts = [
        kind.title + "."
        if kind.__module__ == "config.errors"
        else " ".join((kind.__doc__ or "").split())
        for kind in same
    ]
    return " ".join(texts).replace("|", "\\|")


def _fix(kind: type[OpslogError]) -> str:
    try:
        return FIXES[kind.code]
    except KeyError:
        raise KeyError(f"say in {__name__}.FIXES what to do about {kind.code}") from None
