"""Models that every group of routes shares: the base class, problems, any JSON object.

Models describe responses in the OpenAPI document; the tests validate real responses against them.
"""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Model(BaseModel):
    """Base of response models: camelCase names, no unknown members."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class AnyObject(BaseModel):
    """Any JSON object."""

    model_config = ConfigDict(extra="allow", frozen=True)


class ProblemParameter(Model):
    """The invalid parameter."""

    parameter: str
    detail: str
    position: int | None = None
    """Where in `q` the error is: characters from its start, counted from 0."""


class Problem(Model):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemParameter] = []
    retryable: bool = False
