"""JSON request bodies as models. Errors name the member and never repeat its value."""

import asyncio
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from config.errors import BadInput
from query.api.http.call import Call
from query.errors import RequestTooSlow

M = TypeVar("M", bound="Body")


class Body(BaseModel):
    """Base of request bodies; unknown members are errors."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )


async def read_body(call: Call, model: type[M]) -> M:
    """The body. Raises BadInput, RequestTooSlow."""
    if call.request.content_type != "application/json":
        raise BadInput("Send JSON with Content-Type: application/json", where="Content-Type")
    try:
        async with asyncio.timeout(call.body_timeout_s):
            raw = await call.request.read()
    except TimeoutError as error:
        raise RequestTooSlow(f"The body did not arrive within {call.body_timeout_s:g} s") from error
    if b"\\u0000" in raw:
        raise BadInput("The body contains characters that cannot be stored", where="body")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "body"
        raise BadInput(f"{where}: {first['msg']}", where=where[:100]) from error
