"""Resource and scope: stored once, with the values that they provide for all of their records.

Sources: opentelemetry-proto resource.proto, common.proto (InstrumentationScope);
opentelemetry-specification, common/mapping-to-non-otlp.md for the name of the dropped count.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from config.settings import MappingSettings
from otlp_receiver.export import Stream
from otlp_receiver.mapping.attribute_shapes import Shape, ShapeMaker
from otlp_receiver.mapping.columns import actor, correlation, module
from otlp_receiver.mapping.metadata import notes_json, sorted_object
from storage.record.canonical import canonical, object_of
from storage.record.record import Attribute, StreamDef, Value
from storage.record.streams import stream_of

_DROPPED = "otel.dropped_attributes_count"
UNREADABLE = "opslog.unreadable"
"""What could not be read in a resource or scope, like `unreadable` in metadata.otel."""


@dataclass(slots=True, eq=False)
class StreamFacts:
    """Values that a stream provides for its records, for one ingest key."""

    definition: StreamDef
    key_attributes: tuple[tuple[str, Value], ...]
    """Of the ingest key, when this was created."""
    module: tuple[module.Rank, str, str]
    actor: tuple[str | None, str]
    correlation: tuple[str | None, str]


def facts_of(
    stream: Stream,
    added: Sequence[Attribute],
    key_attributes: tuple[tuple[str, Value], ...],
    settings: MappingSettings,
    make_shape: ShapeMaker,
) -> StreamFacts:
    """`added`: the redacted attributes of the ingest key, which override the sender's."""
    resource = [*stream.resource, *added]
    scope = list(stream.scope)
    at_scope = make_shape([attribute.key for attribute in scope])
    at_resource = make_shape([attribute.key for attribute in resource])
    scope_actor = actor.actor_of(scope, at_scope.actor)
    scope_correlation = correlation.correlation_of(scope, at_scope.correlation)
    return StreamFacts(
        definition=_definition(stream, resource),
        key_attributes=key_attributes,
        module=_module_of_key(added, settings)
        or _module(stream, (scope, at_scope), (resource, at_resource), settings),
        actor=scope_actor if scope_actor[0] else actor.actor_of(resource, at_resource.actor),
        correlation=scope_correlation
        if scope_correlation[0]
        else correlation.correlation_of(resource, at_resource.correlation),
    )


def _module_of_key(
    added: Sequence[Attribute], settings: MappingSettings
) -> tuple[module.Rank, str, str] | None:
    """The module set by the ingest key, if any."""
    given = {attribute.key: attribute.value for attribute in added}
    for rank, name in (
        (module.Rank.ATTRIBUTE, settings.source_module_attribute),
        (module.Rank.SERVICE, module.SERVICE_KEY),
    ):
        found = module.read(rank, name, given.get(name))
        if found is not None:
            is_monolith = rank is module.Rank.SERVICE and found in settings.scope_first
            return None if is_monolith else (module.Rank.KEY, found, f"key.{name}")
    return None


def _module(
    stream: Stream,
    scope: tuple[list[Attribute], Shape],
    resource: tuple[list[Attribute], Shape],
    settings: MappingSettings,
) -> tuple[module.Rank, str, str]:
    ranks = module.Rank
    found: dict[module.Rank, tuple[str, str]] = {}
    for place, (attributes, shape) in (("resource", resource), ("scope", scope)):
        for rank, at, key in shape.module:
            name = module.read(rank, key, attributes[at].value)
            if name is not None and (rank is not ranks.SERVICE or place == "resource"):
                found[rank] = (name, f"{place}.{key}")
    if stream.scope_name:
        first = found.get(ranks.SERVICE, ("", ""))[0] in settings.scope_first
        found[ranks.SCOPE_FIRST if first else ranks.SCOPE] = (stream.scope_name, "scope.name")
    if not found:
        return ranks.NOTHING, module.UNKNOWN, "default"
    rank = min(found)
    return (rank, *found[rank])


def _definition(stream: Stream, resource: list[Attribute]) -> StreamDef:
    resource_json = object_of(resource)
    if stream.resource_dropped or stream.notes:
        resource_json = _with_own(resource, stream)
    members = {
        "name": canonical(stream.scope_name),
        "version": canonical(stream.scope_version),
    }
    if stream.scope:
        members["attributes"] = object_of(stream.scope)
    if stream.scope_dropped:
        members["dropped_attributes_count"] = b"%d" % stream.scope_dropped
    scope_json = sorted_object(members)
    return stream_of(resource_json, scope_json, stream.resource_schema_url, stream.scope_schema_url)


def _with_own(resource: list[Attribute], stream: Stream) -> bytes:
    """The resource with the members that opslog adds."""
    members = {attribute.key: canonical(attribute.value) for attribute in resource}
    if stream.resource_dropped:
        members[_DROPPED] = b"%d" % stream.resource_dropped
    if stream.notes:
        members[UNREADABLE] = canonical(notes_json(stream.notes))
    return sorted_object(members)
