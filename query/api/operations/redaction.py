"""Redaction preview, which stores nothing: handler, models, route.

The payload may be a secret: it appears in no log, no audit record and no error.
"""

from collections.abc import Callable, Iterable

from aiohttp import web
from pydantic import BaseModel, ConfigDict, JsonValue

from config.access import Permission
from config.errors import BadInput
from query.api.http.bodies import Body, read_body
from query.api.http.call import API, Call, Route
from query.api.http.models import Model
from query.api.http.responses import json_response
from storage.record.record import Value
from storage.redaction.redactor import Preview

PreviewRedaction = Callable[[Value], Preview]
"""storage.redaction.redactor.Redactor.test."""


class Payload(Body):
    """What to redact: either a text or attributes."""

    text: str | None = None
    attributes: dict[str, JsonValue] | None = None


class RuleHits(Model):
    """A rule and its number of matches."""

    rule: str
    count: int


class RedactionPreview(BaseModel):
    """The payload as it would be stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    result: JsonValue
    hits: list[RuleHits]


class RedactionRoutes:
    """The route that previews redaction."""

    def __init__(self, preview: PreviewRedaction) -> None:
        self._preview = preview

    def routes(self) -> Iterable[Route]:
        """POST /api/v1/redaction/test."""
        yield Route(
            method="POST",
            path=f"{API}/redaction/test",
            handler=self.test,
            permission=Permission.REDACTION_TEST,
            action="redaction.test",
            tag="redaction",
            summary="Preview how a payload would be redacted; nothing is stored",
            body=Payload,
            response=RedactionPreview,
        )

    async def test(self, call: Call) -> web.Response:
        """POST /api/v1/redaction/test."""
        payload = await read_body(call, Payload)
        given: Value = payload.text
        if payload.attributes is not None:
            given = {name: _value(value) for name, value in payload.attributes.items()}
        if (payload.text is None) is (payload.attributes is None):
            raise BadInput("Send either text or attributes", where="text")
        preview = self._preview(given)
        hits = [{"rule": rule, "count": count} for rule, count in preview.hits]
        return json_response({"result": preview.result, "hits": hits})


def _value(given: JsonValue) -> Value:
    """The JSON value as a record stores it."""
    if isinstance(given, dict):
        return {name: _value(value) for name, value in given.items()}
    if isinstance(given, list):
        return [_value(value) for value in given]
    if isinstance(given, int) and not -(2**63) <= given < 2**64:
        return str(given)  # as a record stores such a number
    return given
