"""Positions of each column's sources in a list of attributes, computed once per list of keys.

Records from one place in a program have the same keys in the same order, so the positions (actor,
route, ...) and jsonb's sort order need not be computed for each record. Sources are ordered as in
the tables of the rules; of a duplicate key the last one counts, as in jsonb.
"""

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter

from config.settings import MappingSettings
from otlp_receiver.mapping import audit
from otlp_receiver.mapping.columns import (
    action,
    actor,
    address,
    correlation,
    exception,
    identity,
    levels,
    module,
    resource,
    trace_ids,
)
from otlp_receiver.mapping.columns.names import plain
from otlp_receiver.mapping.columns.texts import Places
from storage.record.canonical import order_of


class Shape:
    """The positions for one list of keys; each field is an argument of the rule of that name."""

    __slots__ = (
        "action",
        "actor",
        "address",
        "arrange",
        "audit",
        "audit_outcome",
        "correlation",
        "exception",
        "identity",
        "level",
        "module",
        "optional",
        "pairs",
        "parents",
        "span_id",
        "special",
        "trace_id",
    )

    action: action.ActionPlaces
    actor: Places
    address: Places
    arrange: Callable[[Sequence[bytes]], Sequence[bytes]]
    """Sorts members canonically; of duplicate keys only the last is kept."""
    audit: audit.AuditPlaces
    audit_outcome: int | None
    correlation: Places
    exception: Places
    identity: Places
    level: levels.LevelPlaces
    module: module.ModulePlaces
    optional: resource.OptionalPlaces
    pairs: resource.PairPlaces
    parents: Places
    special: bool
    """Whether metadata has an exception or audit part."""
    span_id: Places
    trace_id: Places


class ShapeMaker:
    """Creates shapes for one configuration."""

    def __init__(self, settings: MappingSettings) -> None:
        self._module = (
            (module.Rank.ATTRIBUTE, (settings.source_module_attribute,)),
            (module.Rank.SERVICE, (module.SERVICE_KEY,)),
            (module.Rank.CODE, module.CODE_KEYS),
            *((rank, (key,)) for rank, key in module.WORKLOADS.items()),
        )
        self._action = (settings.action_attribute,)
        self._optional = [
            (kind, keys, name)
            for name in settings.resource_pairs
            for kind, keys in resource.OPTIONAL[name]
        ]

    def __call__(self, keys: Sequence[str]) -> Shape:
        """The shape of these keys, in the order of a record's attributes."""
        at = {key: place for place, key in enumerate(keys)}
        shape = Shape()
        shape.arrange = _arranger([at[key] for key in sorted(at, key=order_of)])
        shape.actor = _places(at, actor.KEYS)
        shape.address = _places(at, address.KEYS)
        shape.audit = _places(at, audit.FIELDS)
        shape.audit_outcome = at.get(audit.OUTCOME_KEY)
        shape.correlation = _places(at, correlation.KEYS)
        shape.exception = tuple((at[key], name) for key, name in exception.FIELDS if key in at)
        shape.identity = _places(at, identity.NATURAL_KEYS)
        shape.module = tuple(
            (rank, at[key], key) for rank, keys in self._module for key in keys if key in at
        )
        shape.optional = tuple(
            (kind, tuple(at[key] for key in keys), name)
            for kind, keys, name in self._optional
            if all(key in at for key in keys)
        )
        shape.pairs = tuple(
            (at.get(kind), at.get(name), name)
            for kind, name in resource.PAIRS
            if kind in at or name in at
        )
        names = {plain(key): key for key in at}
        shape.level = levels.level_places(at)
        shape.parents = _named_places(at, names, trace_ids.PARENT_NAMES)
        shape.special = bool(shape.exception or shape.audit)
        shape.span_id = _named_places(at, names, trace_ids.SPAN_NAMES)
        shape.trace_id = _named_places(at, names, trace_ids.TRACE_NAMES)
        shape.action = self._action_places(at, has_exception=bool(shape.exception))
        return shape

    def _action_places(self, at: dict[str, int], *, has_exception: bool) -> action.ActionPlaces:
        methods = _places(at, action.METHOD_KEYS)
        route = at.get(action.ROUTE_KEY)
        return (
            _places(at, self._action),
            _places(at, action.EVENT_KEYS),
            (methods[0][0], route) if methods and route is not None else None,
            has_exception,
            _places(at, action.FUNCTION_KEYS),
        )


def _places(at: dict[str, int], keys: Sequence[str] | dict[str, tuple[str, ...]]) -> Places:
    return tuple((at[key], key) for key in keys if key in at)


def _named_places(at: dict[str, int], keys: dict[str, str], names: Iterable[str]) -> Places:
    """Positions of plain names (`keys`: the keys by plain name), in the order of the names."""
    return tuple((at[keys[name]], keys[name]) for name in names if name in keys)


def _arranger(places: list[int]) -> Callable[[Sequence[bytes]], Sequence[bytes]]:
    if len(places) > 1:
        return itemgetter(*places)
    first = places[0] if places else 0
    return itemgetter(slice(first, first + len(places)))
