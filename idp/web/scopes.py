"""What each scope lets an app do, in plain words."""

from idp.base.text import Listing, Phrase, say
from idp.model.user import User
from idp.oauth.scope import SCOPE_CLAIMS
from idp.web.pages import ScopeLine


def scope_line(scope: str, user: User) -> ScopeLine:
    """The scope as people read it, with the real value that the app would see."""
    own = dict.fromkeys(str(user.profile[claim]) for claim in SCOPE_CLAIMS["profile"] if claim in user.profile)
    known_as: tuple[Phrase, ...] = (*own, say("user name %(name)s", name=user.username))
    none = say("You have none here yet")
    known = {
        "openid": ScopeLine("user", say("Know that it is you"), say("A number that stands for you")),
        "profile": ScopeLine("user", say("See your name"), Listing(known_as)),
        "email": ScopeLine("mail", say("See your e-mail address"), user.email or none),
        "phone": ScopeLine("phone", say("See your phone number"), user.phone or none),
        "address": ScopeLine("user", say("See your postal address"), say("As far as it is known here")),
        "offline_access": ScopeLine("clock", say("Stay connected"), say("Also while you are not using it")),
    }
    return known.get(scope) or ScopeLine("apps", say("Use one of its services for you"), scope)
