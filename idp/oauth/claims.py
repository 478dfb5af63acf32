"""Claims about the user: asked for by scope or by name, answered from the account (OpenID Connect Core §5)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from idp.model.user import User
from idp.oauth.errors import InvalidRequest
from idp.oauth.scope import SCOPE_CLAIMS

CLAIMS_SUPPORTED = tuple(dict.fromkeys(name for names in SCOPE_CLAIMS.values() for name in names))

_MOST_CLAIMS = 100


@dataclass(frozen=True, slots=True)
class ClaimsRequest:
    """The ``claims`` parameter, by where each claim is to go (OpenID Connect Core §5.5)."""

    id_token: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    userinfo: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Every claim about the user that is asked for by name."""
        return tuple(name for name in (*self.id_token, *self.userinfo) if name in CLAIMS_SUPPORTED)

    @property
    def essential_acr(self) -> bool:
        """Whether the request fails when no wanted acr is reached (§5.5.1.1)."""
        return self.id_token.get("acr", {}).get("essential") is True

    @property
    def subjects(self) -> tuple[Any, ...]:
        """Whom alone the client expects, if it says so (§5.5.1)."""
        return wanted_values(self.id_token.get("sub", {}))

    @property
    def acr_values(self) -> tuple[str, ...]:
        """The acr values wanted by the claims request, if any (§5.5.1.1)."""
        return tuple(str(value) for value in wanted_values(self.id_token.get("acr", {})))

    def within(self, scope: Iterable[str]) -> "ClaimsRequest":
        """The same without claims about the user that none of these scopes opens: there is no way around a scope."""
        opened = set(within((*self.id_token, *self.userinfo), scope))
        return ClaimsRequest(
            *({name: asked[name] for name in asked if name in opened} for asked in (self.id_token, self.userinfo))
        )

    def as_json(self) -> dict[str, Any]:
        """The two lists of names that issuing needs later: of claims that there are, whatever else was sent."""
        known = set(CLAIMS_SUPPORTED)
        return {"id_token": sorted(known & self.id_token.keys()), "userinfo": sorted(known & self.userinfo.keys())}


def wanted_values(member: Mapping[str, Any]) -> tuple[Any, ...]:
    """``value`` or ``values`` of one requested claim (OpenID Connect Core §5.5.1)."""
    values = member.get("values")
    if isinstance(values, list):
        return tuple(values)
    return (member["value"],) if "value" in member else ()


def parse_claims(text: str) -> ClaimsRequest:
    """The claims request in a JSON text; unknown members and claims are kept, and ignored where they are used.

    Raises InvalidRequest for what is not such an object.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as fault:
        raise InvalidRequest("The claims parameter is not JSON.") from fault
    if not isinstance(given, dict):
        raise InvalidRequest("The claims parameter is not an object.")
    return ClaimsRequest(_members(given.get("id_token")), _members(given.get("userinfo")))


def within(names: Iterable[str], scope: Iterable[str]) -> tuple[str, ...]:
    """The named claims but for those about the user that none of these scopes opens."""
    closed = {name for word in SCOPE_CLAIMS.keys() - {"openid", *scope} for name in SCOPE_CLAIMS[word]}
    return tuple(name for name in names if name not in closed)


def _members(given: object) -> dict[str, Mapping[str, Any]]:
    if given is None:
        return {}
    if not isinstance(given, dict) or len(given) > _MOST_CLAIMS:
        raise InvalidRequest("The claims parameter has an unknown form.")
    if any(not (member is None or isinstance(member, dict)) for member in given.values()):
        raise InvalidRequest("The claims parameter has an unknown form.")
    return {name: member or {} for name, member in given.items()}


def claims_of(user: User, names: Iterable[str]) -> dict[str, Any]:
    """Those of the named claims that the account has; what is empty is left out (OpenID Connect Core §5.3.2)."""
    known: dict[str, Any] = {
        **user.profile,
        "preferred_username": user.username,
        "updated_at": int(user.updated_at.timestamp()),
    }
    if user.email:
        known |= {"email": user.email, "email_verified": user.email_verified}
    if user.phone:
        known |= {"phone_number": user.phone, "phone_number_verified": user.phone_verified}
    return {name: known[name] for name in names if name in known and name in CLAIMS_SUPPORTED}


def claims_for_userinfo(user: User, scope: Iterable[str], requested: Iterable[str]) -> dict[str, Any]:
    """What userinfo answers: ``sub`` always, then what scope and claims request opened (§5.3.2, §5.4, §5.5)."""
    names = [name for word in scope for name in SCOPE_CLAIMS.get(word, ())]
    return {"sub": user.sub} | claims_of(user, [*names, *requested])
