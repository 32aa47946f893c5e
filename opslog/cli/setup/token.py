# ruff: noqa: PLC0415 - what a command needs is imported when it runs, so that --help is quick
"""`opslog token`: a token for the API, on standard output and nothing else."""

from typing import Annotated

import typer

from config.access import Role
from opslog.cli.options import ConfigOption
from opslog.installation.opening import open_installation


def token(
    role: Annotated[Role, typer.Option(help="What its holder may do.", case_sensitive=False)],
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=24, help="Lifetime; default: auth.token_hours.")
    ] = None,
    subject: Annotated[
        str, typer.Option(help="Who it stands for; audit records name it.")
    ] = "operator",
    config: ConfigOption = None,
) -> None:
    """Print a token for the API, signed with this installation's own key.

    Works whether opslog runs or not:

        curl -H "Authorization: Bearer $(opslog token --role NOC)" http://127.0.0.1:8080/api/v1/logs
    """
    from opslog.installation.tokens import TokenRequest, signed_token

    request = TokenRequest(role=role, hours=hours, subject=subject)
    print(signed_token(open_installation(config), request))
