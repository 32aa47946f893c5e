"""sourceModule: the service, or the part of it, that emitted the record.

Sources: semantic conventions, registry/service: `unknown_service…` is the SDK's default without a
configured name, so it is ignored; registry/code: `code.function.name` is fully qualified,
`code.namespace` its predecessor. In Python the scope name is the logger's name. Without all of
these, what runs the program names it: registry/k8s, container, faas, log; syslog (RFC 5424,
APP-NAME; the Collector's syslog receiver), journald, Fluent Bit.
"""

from enum import IntEnum

from otlp_receiver.mapping.columns.names import Named
from otlp_receiver.mapping.columns.texts import scalar_text
from storage.record.record import Attribute, Value

CHARACTERS = 50
UNKNOWN = "unknown_service"
SERVICE_KEY = "service.name"
CODE_KEYS = ("code.function.name", "code.namespace")
_SEPARATORS = (".", "::", "#", "\\", "->")


class Rank(IntEnum):
    """The sources, best first; a record's own comes before those of its scope and resource."""

    KEY = -1
    """The ingest key's attributes: a sender cannot impersonate another."""
    ATTRIBUTE = 0
    """The configured attribute (mapping.source_module_attribute)."""
    SCOPE_FIRST = 1
    """The scope's name, for services in mapping.scope_first (modular monoliths)."""
    SERVICE = 2
    SCOPE = 3
    CODE = 4
    DEPLOYMENT = 5
    STATEFULSET = 6
    DAEMONSET = 7
    CRONJOB = 8
    JOB = 9
    K8S_CONTAINER = 10
    CONTAINER = 11
    FAAS = 12
    SYSLOG = 13
    JOURNALD = 14
    FILE = 15
    NOTHING = 16


WORKLOADS = {
    Rank.DEPLOYMENT: "k8s.deployment.name",
    Rank.STATEFULSET: "k8s.statefulset.name",
    Rank.DAEMONSET: "k8s.daemonset.name",
    Rank.CRONJOB: "k8s.cronjob.name",
    Rank.JOB: "k8s.job.name",
    Rank.K8S_CONTAINER: "k8s.container.name",
    Rank.CONTAINER: "container.name",
    Rank.FAAS: "faas.name",
    Rank.SYSLOG: "appname",
    Rank.JOURNALD: "SYSLOG_IDENTIFIER",
    Rank.FILE: "log.file.name",
}
"""Attributes of a record, scope or resource that name what runs the program, by rank: each has its
own, so that a deployment of the resource comes before the record's file."""
BODY_NAMES = (
    "syslogidentifier",
    "appname",
    "kubernetescontainername",
    "containername",
    "systemdunit",
)
"""Body members that name it, by plain name (names.py), best first."""


ModulePlaces = tuple[tuple[Rank, int, str], ...]


def read(rank: Rank, key: str, value: Value) -> str | None:
    """The module named by an attribute, or None."""
    text = scalar_text(value)
    if text is None or (rank is Rank.SERVICE and text.startswith(UNKNOWN)):
        return None
    if key == "code.function.name":
        return text[: last_separator(text)[0]] or None
    return text


def module_of(
    attributes: list[Attribute], places: ModulePlaces, stream: tuple[Rank, str, str]
) -> tuple[str, str]:
    """(module, source) of a record; `stream` is the best of its resource and scope."""
    best, module, source = stream
    for rank, place, key in places:
        if rank > best:
            break
        own = read(rank, key, attributes[place].value)
        if own is not None:
            return own, key
    return module, source


def module_in_body(members: Named) -> tuple[str, str]:
    """(module, source) from the body of a record that has none otherwise."""
    for name in BODY_NAMES:
        key, value = members.get(name, ("", None))
        text = scalar_text(value)
        if text is not None:
            return text.lstrip("/") or UNKNOWN, f"body.{key}"  # Docker's names begin with a slash
    return UNKNOWN, "default"


def last_separator(name: str) -> tuple[int, int]:
    """(start, end) of the last separator in a qualified name; (0, 0) without one."""
    found = [(at, at + len(mark)) for mark in _SEPARATORS if (at := name.rfind(mark)) > 0]
    return max(found, default=(0, 0), key=lambda place: place[1])
