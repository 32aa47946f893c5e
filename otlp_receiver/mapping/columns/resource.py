"""resourceType and resourceId: the object that was acted on.

Not OpenTelemetry's Resource: service.* and host.* are not used. Sources: the record's own
attributes only; audit: OTEP 0267; SigNoz' audit events (pkg/types/audittypes); pairs of the
semantic conventions if configured (mapping.resource_pairs).
"""

from otlp_receiver.mapping.columns.texts import scalar_text
from storage.record.record import Attribute

TYPE_CHARACTERS = 50

PAIRS: tuple[tuple[str, str], ...] = (
    ("resource.type", "resource.id"),
    ("audit.target.type", "audit.target.id"),
    ("signoz.audit.resource.kind", "signoz.audit.resource.id"),
)
"""(attribute of the type, attribute of the id), best first."""

OPTIONAL: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "file.path": (("file", ("file.path",)),),
    "db": (("db.collection", ("db.namespace", "db.collection.name")),),
    "messaging.destination.name": (("messaging.destination", ("messaging.destination.name",)),),
    "k8s": (
        ("k8s.pod", ("k8s.namespace.name", "k8s.pod.name")),
        ("k8s.deployment", ("k8s.namespace.name", "k8s.deployment.name")),
        ("k8s.node", ("k8s.node.name",)),
    ),
}
"""(type, attributes whose values joined by "/" are the id) by name in the settings."""

PairPlaces = tuple[tuple[int | None, int | None, str], ...]
"""(position of the type, position of the id, source), best first; one position may be missing."""
OptionalPlaces = tuple[tuple[str, tuple[int, ...], str], ...]


def resource_of(
    attributes: list[Attribute], pairs: PairPlaces, optional: OptionalPlaces
) -> tuple[str | None, str | None, str]:
    """(type, id, source); of an incomplete pair, the part that is present."""
    for type_place, id_place, source in pairs:
        kind = None if type_place is None else scalar_text(attributes[type_place].value)
        name = None if id_place is None else scalar_text(attributes[id_place].value)
        if kind is not None or name is not None:
            return kind, name, source
    for kind, places, source in optional:
        parts = [scalar_text(attributes[place].value) for place in places]
        if None not in parts:
            return kind, "/".join([part for part in parts if part is not None]), source
    return None, None, ""
