"""The handler that shows what redaction would make of a payload. Nothing is kept, not even asked.

The payload may be a secret: it is in no log, no audit record and no error.
"""

from collections.abc import Callable

from aiohttp import web
from pydantic import JsonValue

from config.errors import BadInput
from query.api.http.bodies import Body, read_body
from query.api.http.call import Call
from query.api.records.querying import say
from storage.record.record import Value
from storage.redaction.redactor import Trial

Try = Callable[[Value], Trial]
"""storage.redaction.redactor.Redactor.test."""


class Payload(Body):
    """What to try: a text, or attributes; one of them."""

    text: str | None = None
    attributes: dict[str, JsonValue] | None = None


class RedactionTrial:
    """Tries payloads."""

    def __init__(self, trial: Try) -> None:
        self._try = trial

    async def test(self, call: Call) -> web.Response:
        """POST /api/v1/redaction/test."""
        payload = await read_body(call, Payload)
        given: Value = payload.text
        if payload.attributes is not None:
            given = {name: _value(value) for name, value in payload.attributes.items()}
        if (payload.text is None) is (payload.attributes is None):
            raise BadInput("send either text or attributes", where="text")
        tried = self._try(given)
        hits = [{"rule": rule, "count": count} for rule, count in tried.hits]
        return say({"result": tried.result, "hits": hits})


def _value(given: JsonValue) -> Value:
    """JSON as the records' own type."""
    if isinstance(given, dict):
        return {name: _value(value) for name, value in given.items()}
    if isinstance(given, list):
        return [_value(value) for value in given]
    if isinstance(given, int) and not -(2**63) <= given < 2**64:
        return str(given)  # as a record of such a number holds it
    return given
