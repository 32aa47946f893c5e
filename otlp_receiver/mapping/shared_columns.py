"""The columns with the same rules for log records, spans and exception events.

The record's own attributes first, then the values of its parent (the stream, or the event's span);
never merged into one map. Values too long for their column go to `full`, for metadata.otel.full.
"""

from typing import Protocol

from otlp_receiver.mapping.attribute_shapes import Shape
from otlp_receiver.mapping.columns.actor import actor_of
from otlp_receiver.mapping.columns.correlation import correlation_of
from otlp_receiver.mapping.columns.module import CHARACTERS as MODULE_CHARACTERS
from otlp_receiver.mapping.columns.module import Rank, module_of
from otlp_receiver.mapping.columns.resource import TYPE_CHARACTERS, resource_of
from otlp_receiver.mapping.columns.texts import ID_CHARACTERS, fit
from otlp_receiver.mapping.context import Sources
from storage.record.canonical import canonical
from storage.record.correlation import CHARACTERS as CORRELATION_CHARACTERS
from storage.record.correlation import stored_correlation
from storage.record.record import Attribute, Record


class Parent(Protocol):
    """Parent of a record, with values and their sources."""

    @property
    def module(self) -> tuple[Rank, str, str]:
        """Rank of the name, the name, its source."""

    @property
    def actor(self) -> tuple[str | None, str]:
        """The actor."""

    @property
    def correlation(self) -> tuple[str | None, str]:
        """The full correlation id."""


def fill_shared_columns(  # noqa: PLR0917 - hot: keyword arguments are slow
    record: Record,
    attributes: list[Attribute],
    shape: Shape,
    parent: Parent,
    full: dict[str, bytes],
    sources: Sources | None,
) -> None:
    """Set source_module, actor_id, correlation_id, resource_type and resource_id."""
    rank, name, source = parent.module
    if shape.module and shape.module[0][0] <= rank:
        name, source = module_of(attributes, shape.module, parent.module)
    if len(name) > MODULE_CHARACTERS:
        full["source_module"] = canonical(name)
        name = fit(name, MODULE_CHARACTERS)
    record.source_module = name

    actor, actor_source = actor_of(attributes, shape.actor) if shape.actor else parent.actor
    if actor is None:
        actor, actor_source = parent.actor
    if actor is not None and len(actor) > ID_CHARACTERS:
        full["actor_id"] = canonical(actor)
        actor = fit(actor, ID_CHARACTERS)
    record.actor_id = actor

    correlation, correlation_source = (
        correlation_of(attributes, shape.correlation) if shape.correlation else parent.correlation
    )
    if correlation is None:
        correlation, correlation_source = parent.correlation
    if correlation is not None and len(correlation) > CORRELATION_CHARACTERS:
        full["correlation_id"] = canonical(correlation)
        correlation = stored_correlation(correlation)
    record.correlation_id = correlation

    if shape.pairs or shape.optional:
        _fill_resource(record, attributes, shape, full, sources)
    else:
        record.resource_type = record.resource_id = None
    if sources is not None:
        sources.update(sourceModule=source, actorId=actor_source, correlationId=correlation_source)


def _fill_resource(
    record: Record,
    attributes: list[Attribute],
    shape: Shape,
    full: dict[str, bytes],
    sources: Sources | None,
) -> None:
    kind, name, source = resource_of(attributes, shape.pairs, shape.optional)
    if kind is not None and len(kind) > TYPE_CHARACTERS:
        full["resource_type"] = canonical(kind)
        kind = fit(kind, TYPE_CHARACTERS)
    if name is not None and len(name) > ID_CHARACTERS:
        full["resource_id"] = canonical(name)
        name = fit(name, ID_CHARACTERS)
    record.resource_type, record.resource_id = kind, name
    if sources is not None:
        sources.update(resourceType=source, resourceId=source)
