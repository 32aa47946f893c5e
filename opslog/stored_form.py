"""A value as it was typed, as redaction would have stored it: for commands that search."""

from collections.abc import Callable

from opslog.installation import Installation
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys


def stored_as(installation: Installation) -> Callable[[str, str], str]:
    """(attribute name, value) to the stored value: e-mail addresses are stored as tokens."""
    secrets = installation.secrets.hmac()
    redactor = Redactor(
        installation.settings.redaction, HmacKeys(secrets.keys, current=secrets.current)
    )
    return lambda name, value: str(redactor.value(name, value)[0])
