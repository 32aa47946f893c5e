"""The installation's redaction, and what it makes of a value as it was typed."""

from collections.abc import Callable

from opslog.installation.installation import Installation
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys


def redactor_of(installation: Installation) -> Redactor:
    """The rules of the settings with the keys of this installation."""
    secrets = installation.secrets.hmac()
    keys = HmacKeys(secrets.keys, current=secrets.current)
    return Redactor(installation.settings.redaction, keys)


def stored_as(installation: Installation) -> Callable[[str, str], str]:
    """(attribute name, value) to the stored value: e-mail addresses are stored as tokens."""
    redactor = redactor_of(installation)
    return lambda name, value: str(redactor.value(name, value)[0])
