"""action: what was done, as a name of low cardinality.

Sources: logs/data-model.md, EventName (names an event type, no dynamic values); registry/event
(`event.name` deprecated); http spans: `http.request.method` + `http.route` are of low cardinality;
ECS `event.action`. Span names may contain ids despite the rule: they are templated for the index.
"""

import re
from functools import lru_cache

from otlp_receiver.mapping.columns.module import last_separator
from otlp_receiver.mapping.columns.texts import Places, first_text
from storage.record.record import Attribute

CHARACTERS = 100
EVENT_KEYS = ("event.name", "logrecord.event.name", "audit.action", "event.action")
METHOD_KEYS = ("http.request.method", "http.method")
ROUTE_KEY = "http.route"
FUNCTION_KEYS = ("code.function.name", "code.function")
OF_LOGS = "log"
OF_SPANS = "unknown"
OF_EXCEPTIONS = "exception"

_CODE_PLACE = re.compile(r"event .+\.rs:\d+")


def event_of(event_name: str) -> str:
    """The event that a record's event name names; "" for a place in the code.

    Rust's `tracing` names every event after its place: `event src/main.rs:863`.
    """
    return "" if _CODE_PLACE.fullmatch(event_name) else event_name


_IDS = re.compile(
    r"""
      \b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b   # UUID
    | \b(?=[a-zA-Z]*\d)[0-9a-fA-F]{16,}\b                        # hash, trace id
    | (?<=/)\d+(?=/|$|\?|\s)                                     # path segment
    | \b\d{5,}\b                                                 # long number
    """,
    re.VERBOSE | re.ASCII,
)


def templated(name: str) -> str:
    """A span's name with ids replaced.

    >>> templated("GET /users/42/orders/9f1c2a3b-0000-4000-8000-000000000000")
    'GET /users/{id}/orders/{id}'
    >>> templated("GET v1 user 42 HTTP/1.1")
    'GET v1 user 42 HTTP/1.1'
    """
    return _templated(name) if len(name) <= _MAX_TEMPLATED else name


@lru_cache(maxsize=4096)
def _templated(name: str) -> str:
    return _IDS.sub("{id}", name)


def action_of(
    attributes: list[Attribute],
    places: "ActionPlaces",
    event_name: str,
    *,
    span_name: str = "",
    otherwise: str = OF_LOGS,
) -> tuple[str, str]:
    """(action, source) of a record; `event_name` and `span_name` are "" if missing."""
    configured, events, http, has_exception, functions = places
    if configured or event_name or events or span_name:
        action, source = _named(attributes, places, event_name, span_name)
        if action is not None:
            return action, source
    if http is not None:
        method, route = attributes[http[0]].value, attributes[http[1]].value
        if type(method) is str and type(route) is str and method and route:
            return f"{method} {route}", ROUTE_KEY
    if has_exception:
        return OF_EXCEPTIONS, "exception"
    action, source = _function(attributes, functions) if functions else _NONE
    return (otherwise, "default") if action is None else (action, source)


def _named(
    attributes: list[Attribute], places: "ActionPlaces", event_name: str, span_name: str
) -> tuple[str | None, str]:
    action, source = first_text(attributes, places[0])
    if action is None and event_name:
        action, source = event_name, "event_name"
    if action is None:
        action, source = first_text(attributes, places[1])
    if action is None and span_name:
        action, source = templated(span_name), "span.name"
    return action, source


def _function(attributes: list[Attribute], places: Places) -> tuple[str | None, str]:
    name, key = first_text(attributes, places)
    return _NONE if name is None else (name[last_separator(name)[1] :], key)


_NONE: tuple[None, str] = (None, "")
_MAX_TEMPLATED = 1024
"""Characters; longer names are truncated anyway, and not worth caching."""

ActionPlaces = tuple[Places, Places, tuple[int, int] | None, bool, Places]
"""Configured attribute, event names, (method, route), whether there is an exception, functions."""
