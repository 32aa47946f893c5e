"""Tokens for people and dashboards, signed with the installation's own key."""

import math
import secrets
from dataclasses import dataclass

from config.access import Role
from config.errors import BadInput
from config.process.clock import NS_PER_S, now_ns
from opslog.installation.installation import Installation

MAX_HOURS = 24.0
_CLOCK_SLACK_S = 5
"""A server whose clock is slightly behind must not reject the token as not yet valid."""


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """The contents of a token."""

    role: str
    hours: float | None = None
    """None: the setting auth.token_hours."""
    subject: str = "operator"
    """Named in audit records."""


def signed_token(installation: Installation, request: TokenRequest) -> str:
    """A JWT, RS256, with iss, aud, iat, nbf, exp, sub, jti, role. Raises BadInput."""
    import jwt  # noqa: PLC0415 - 150 ms, and only needed here

    auth = installation.settings.auth
    hours = auth.token_hours if request.hours is None else request.hours
    if request.role not in set(Role):
        known = ", ".join(Role)
        raise BadInput(f"unknown role {request.role!r}; use one of {known}", where="role")
    if not math.isfinite(hours) or not 0 < hours <= MAX_HOURS:
        raise BadInput(
            f"a token is valid for more than 0 and at most {MAX_HOURS:g} hours", where="hours"
        )
    now_s = now_ns() // NS_PER_S
    claims = {
        "iss": auth.issuer,
        "aud": auth.audience,
        "iat": now_s,
        "nbf": now_s - _CLOCK_SLACK_S,
        "exp": now_s + max(1, int(hours * 3600)),
        "sub": request.subject,
        "jti": secrets.token_urlsafe(16),
        "role": request.role,
    }
    keys = installation.secrets
    headers = {"kid": keys.jwt_key_id()}
    return jwt.encode(claims, keys.jwt_private_key(), algorithm="RS256", headers=headers)
