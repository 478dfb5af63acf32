"""What the user must do next before a request can be answered: a table of reasons to interact, in order.

Pure: the web loads the situation, these functions decide, the web shows the page or, under ``prompt=none``, sends the
error that the need names (OpenID Connect Core §3.1.2.3 and §3.1.2.6).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from idp.oauth.errors import (
    AccountSelectionRequired,
    ConsentRequired,
    LoginRequired,
    OAuthError,
    UnmetAuthenticationRequirements,
)
from idp.oauth.request import AuthorizationRequest


@dataclass(frozen=True, slots=True)
class Situation:
    """All that decides whether a request can be answered.

    ``sub`` is the user whose sign-in counts so far; ``signed_in`` whether the evidence that this request accepts
    (``prompt=login`` and ``max_age`` rule out old ones) makes a session; ``met`` and ``reachable`` speak of the
    required assurance, and ``request_reachable`` of what the request and its client ask; ``reminder`` is whether an
    enrolment that may wait is still to be spoken of in this sign-in; ``remembered`` is the scope allowed earlier,
    ``approved`` the scope allowed just now.
    """

    request: AuthorizationRequest
    sub: str | None
    signed_in: bool
    met: bool
    reachable: bool
    hinted: str | None = None
    chosen: bool = False
    request_reachable: bool = True
    reminder: bool = False
    remembered: frozenset[str] = frozenset()
    approved: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """One thing that the user must do, and the error where they cannot be asked."""

    prompt: str
    error: OAuthError


def create(situation: Situation) -> Need | None:
    """An account is to be made first (Initiating User Registration via OpenID Connect 1.0 §4)."""
    if "create" in situation.request.prompt and not situation.chosen:
        return Need("create", LoginRequired("An account has to be created."))
    return None


def select_account(situation: Situation) -> Need | None:
    """The user is to say which account to use (OpenID Connect Core §3.1.2.1)."""
    if "select_account" in situation.request.prompt and not situation.chosen:
        return Need("select_account", AccountSelectionRequired("The user has to choose an account."))
    return None


def login(situation: Situation) -> Need | None:
    """Somebody has to be signed in, recently enough, and be the one who is expected."""
    if not situation.signed_in:
        return Need("login", LoginRequired("The user has to sign in."))
    # OpenID Connect Core §3.1.2.2: the user who was named, by claim or hint, or an error; never another one.
    named, hinted = situation.request.claims.subjects, situation.hinted
    if (named and situation.sub not in named) or hinted not in {None, situation.sub}:
        return Need("refuse", LoginRequired("Another user is expected to sign in."))
    return None


def step_up(situation: Situation) -> Need | None:
    """The sign-in has to be as strong as the request, the client and the account ask."""
    if situation.met:
        return None
    error = UnmetAuthenticationRequirements("The sign-in is not as strong as required.")
    if situation.reachable:
        return Need("step_up", error)
    # OpenID Connect Core §5.5.1.1: an essential acr that this user cannot reach is an error at once.
    in_vain = situation.request.acr_is_essential and not situation.request_reachable
    return Need("refuse" if in_vain else "enrol", error)


def remind(situation: Situation) -> Need | None:
    """An enrolment that may wait is spoken of once in each sign-in; where nothing may be asked, it waits in silence."""
    if situation.reminder and "none" not in situation.request.prompt:
        return Need("remind", UnmetAuthenticationRequirements("The user has to be told what to add."))
    return None


def consent(situation: Situation) -> Need | None:
    """The user has to allow what the client asks for: once, or each time where it says so or could be somebody else.

    OpenID Connect Core §3.1.2.4; RFC 8252 §8.6.
    """
    wanted = set(situation.request.scope_to_approve)
    if situation.approved is not None and wanted <= situation.approved:
        return None
    ask_anew = "consent" in situation.request.prompt or not situation.request.is_sure_of_client
    if not ask_anew and wanted <= situation.remembered:
        return None
    return Need("consent", ConsentRequired("The user has to allow the request."))


Prompt: TypeAlias = Callable[[Situation], Need | None]

PROMPTS: tuple[Prompt, ...] = (create, select_account, login, step_up, remind, consent)


def next_need(situation: Situation) -> Need | None:
    """The first thing that is still missing, or None when the request can be answered."""
    return next((need for prompt in PROMPTS if (need := prompt(situation)) is not None), None)
