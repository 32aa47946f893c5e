"""actorId: who acted. An opaque text, not a reference to a table of users.

Sources: semantic conventions, registry/user and registry/enduser (both in development; `enduser.id`
"may be a username, email": redaction turns those into a joinable token); audit: OTEP 0267.
"""

from otlp_receiver.mapping.columns.texts import Places, scalar_text
from storage.record.record import Attribute

AUDIT_KEY = "audit.actor.id"
KEYS = (AUDIT_KEY, "user.id", "enduser.id", "enduser.pseudo.id", "user.hash", "user.name")
_ANONYMOUS = frozenset(
    spelling
    for word in ("anonymous", "unknown")
    for spelling in (word, word.capitalize(), word.upper())
)


def actor_of(attributes: list[Attribute], places: Places) -> tuple[str | None, str]:
    """(actor, source) of one list of attributes.

    "anonymous" and "unknown" are no actor, except in an audit record, which states them explicitly.
    """
    for place, key in places:
        value = attributes[place].value
        actor = value if type(value) is str else scalar_text(value)
        if actor and (actor not in _ANONYMOUS or key == AUDIT_KEY):
            return actor, key
    return None, ""
