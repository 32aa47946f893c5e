"""What a name means in a query, parameter or facet: a field, an alias, an attribute. Pure.

`attr.<name>` and `resource.<name>` are the exact forms. Any other name is looked up here, in this
order: the fields of a record, ALIASES, then attributes of the record and of its resource.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from storage.record.fields import (
    ACTION,
    ACTOR_ID,
    DURATION_NS,
    FIELDS,
    LEVEL,
    MESSAGE,
    SOURCE_MODULE,
    SPAN_ID,
    TRACE_ID,
)

ATTRIBUTE = "attr."
RESOURCE = "resource."
CREATED_AT = "createdAt"
IP_ADDRESS = "ipAddress"
FIELD_NAMES = (*FIELDS, CREATED_AT, IP_ADDRESS)


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a field, or of a resource's attribute."""

    target: str
    """A name of FIELD_NAMES, or `resource.` and a name."""
    is_mapped: bool = False
    """The mapping fills the field from attributes of this name (docs/mapping.md): an attribute
    with it adds nothing. Otherwise, records that have such an attribute are searched by both."""


def _aliases(target: str, *names: str, mapped: tuple[str, ...] = ()) -> dict[str, Alias]:
    return dict.fromkeys(names, Alias(target)) | dict.fromkeys(mapped, Alias(target, True))


ALIASES: dict[str, Alias] = {
    **_aliases(SOURCE_MODULE.name, "service", "module", mapped=("service.name", "servicename")),
    **_aliases(ACTOR_ID.name, "user", "actor", "userid", mapped=("user.id",)),
    **_aliases(f"{RESOURCE}host.name", "host", "hostname"),
    **_aliases(LEVEL.name, "severity", "loglevel", "lvl", mapped=("log.level",)),
    **_aliases(TRACE_ID.name, "trace", mapped=("trace.id",)),
    **_aliases(SPAN_ID.name, mapped=("span.id",)),
    **_aliases(DURATION_NS.name, "duration"),
    **_aliases(MESSAGE.name, "msg"),
    **_aliases(ACTION.name, "event", "eventname", mapped=("event.name",)),
    **_aliases(CREATED_AT, "time", "timestamp", "@timestamp"),
    **_aliases(IP_ADDRESS, "ip", mapped=("client.address",)),
}
"""By folded name: in lower case, without underscores and dashes."""

_BY_FOLDED = {name.lower(): name for name in FIELD_NAMES}


def folded(name: str) -> str:
    """The form in which fields and aliases are compared.

    >>> folded("Source_Module"), folded("trace-id")
    ('sourcemodule', 'traceid')
    """
    return name.lower().replace("_", "").replace("-", "")


@dataclass(frozen=True, slots=True)
class Names:
    """The names that stored records are known to have; a sample, so others may exist."""

    attributes: frozenset[str] = frozenset()
    resource: frozenset[str] = frozenset()

    def has(self, name: str) -> bool:
        """Whether an attribute of a record or of a resource is known to have this name."""
        return name in self.attributes or name in self.resource


NO_NAMES = Names()


def field_of(name: str) -> str | None:
    """The field with this name in any case; None if there is none."""
    return _BY_FOLDED.get(name.lower())


def alias_of(name: str) -> Alias | None:
    """The alias with this name: of ALIASES, or a field's name written like `source_module`."""
    plain = folded(name)
    if plain in _BY_FOLDED:
        return Alias(_BY_FOLDED[plain], is_mapped=True)
    return ALIASES.get(name.lower()) or ALIASES.get(plain)


def canonical(name: str) -> str:
    """The field or exact form that a name stands for; another name is returned as it is.

    >>> canonical("service_name"), canonical("host"), canonical("order.id")
    ('sourceModule', 'resource.host.name', 'order.id')
    """
    field = field_of(name)
    if field is not None:
        return field
    alias = alias_of(name)
    return name if alias is None else alias.target


def is_known(name: str, names: Names) -> bool:
    """Whether a name is an exact form, a field, an alias, or an attribute of known records."""
    return (
        name.startswith((ATTRIBUTE, RESOURCE))
        or field_of(name) is not None
        or alias_of(name) is not None
        or names.has(name)
    )


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The name that was probably meant: of the fields, the aliases, and `known`."""
    by_folded = {folded(item): item for item in known}
    by_folded |= {alias: alias for alias in ALIASES} | _BY_FOLDED
    by_folded.pop(folded(name), None)
    near = difflib.get_close_matches(folded(name), by_folded, n=1, cutoff=0.7)
    return by_folded[near[0]] if near else None
