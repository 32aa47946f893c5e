# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog token`: prints an API token."""

from typing import Annotated

import typer

from config.access import Role
from opslog.cli.options import ConfigOption
from opslog.installation.opening import open_installation


def token(
    role: Annotated[Role, typer.Option(help="Role of the token.", case_sensitive=False)],
    hours: Annotated[
        float | None,
        typer.Option(min=0.01, max=24, help="Lifetime in hours; default: auth.token_hours."),
    ] = None,
    subject: Annotated[str, typer.Option(help="Subject, named in audit records.")] = "operator",
    config: ConfigOption = None,
) -> None:
    """Print an API token, signed with this installation's key.

    Works whether or not opslog is running:

        curl -H "Authorization: Bearer $(opslog token --role NOC)" http://127.0.0.1:8080/api/v1/logs
    """
    from opslog.installation.tokens import TokenRequest, signed_token

    request = TokenRequest(role=role, hours=hours, subject=subject)
    print(signed_token(open_installation(config), request))
