"""One redactor with the shipped rules, and a way to make others."""

from collections.abc import Callable

import pytest

from config.settings import RedactionSettings
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys

KEYS = HmacKeys({"k1": b"0123456789abcdef0123456789abcdef"}, current="k1")

Make = Callable[..., Redactor]


@pytest.fixture(scope="session")
def redactor() -> Redactor:
    """The shipped rules, as they come."""
    return Redactor(RedactionSettings(), KEYS)


@pytest.fixture(scope="session")
def make() -> Make:
    """A redactor with settings of the test's own."""

    def build(keys: HmacKeys = KEYS, **settings: object) -> Redactor:
        return Redactor(RedactionSettings.model_validate(settings), keys)

    return build
