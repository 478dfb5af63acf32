"""What each scope lets an app do, in plain words."""

from idp.model.user import User
from idp.oauth.scope import SCOPE_CLAIMS
from idp.web.pages import ScopeLine


def scope_line(scope: str, user: User) -> ScopeLine:
    """The scope as people read it, with the real value that the app would see."""
    own = (str(user.profile[claim]) for claim in SCOPE_CLAIMS["profile"] if claim in user.profile)
    known_as = ", ".join(dict.fromkeys((*own, f"user name {user.username}")))
    known = {
        "openid": ScopeLine("user", "Know that it is you", "A number that stands for you"),
        "profile": ScopeLine("user", "See your name", known_as),
        "email": ScopeLine("mail", "See your e-mail address", user.email or "You have none here yet"),
        "phone": ScopeLine("phone", "See your phone number", user.phone or "You have none here yet"),
        "address": ScopeLine("user", "See your postal address", "As far as it is known here"),
        "offline_access": ScopeLine("clock", "Stay connected", "Also while you are not using it"),
    }
    return known.get(scope) or ScopeLine("apps", "Use one of its services for you", scope)
