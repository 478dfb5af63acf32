"""How many codes may be sent: to one recipient, for one account, to one prefix, and in all (G8).

Text messages cost money, and there are people who earn by them: they have codes sent to numbers of theirs that nobody
ever types in. So a prefix of which the codes do not come back is left alone for a while.

Anybody with an account can have a code sent to any number, by claiming it. So claims are stopped at about half of what
is there for a number, a prefix and all, and are judged apart by what comes back: the rest is for those who sign in.
"""

from dataclasses import dataclass

from idp.model.sent_code import Sendings

PER_RECIPIENT = 3
"""In ten minutes: a person who needs a fourth has another trouble, and a stranger's telephone is left in peace."""
PER_ACCOUNT = 10
"""In an hour, whatever the number: so that nobody has many numbers tried from one account."""
PER_PREFIX = 30
"""In an hour, to numbers that share all but their last four digits: what is rented for pumping is a range of these."""
IN_ALL = 1000
"""In an hour: more than ten thousand people need who sign in once a day, and a loss that can be borne."""
CLAIMS_PER_RECIPIENT = 2
CLAIMS_PER_PREFIX = 15
CLAIMS_IN_ALL = 500
BREAKER_FROM = 15
"""So many codes to a prefix have to be over before it is judged by them."""
BREAKER_SHARE = 5
"""One in so many of them has to have been used. Of people who sign in, more than half use theirs."""


@dataclass(frozen=True, slots=True)
class _Ceilings:
    per_recipient: int
    per_prefix: int
    in_all: int


_SIGN_INS = _Ceilings(PER_RECIPIENT, PER_PREFIX, IN_ALL)
_CLAIMS = _Ceilings(CLAIMS_PER_RECIPIENT, CLAIMS_PER_PREFIX, CLAIMS_IN_ALL)


def held_back(sendings: Sendings, *, claimed: bool = False) -> str | None:
    """Why one more code may not be sent now, a word for the audit trail; None if it may.

    ``claimed`` is whether the recipient is merely claimed: no account has proved yet that it is theirs.
    """
    ceilings = _CLAIMS if claimed else _SIGN_INS
    reached = (
        ("recipient", sendings.to_recipient >= ceilings.per_recipient),
        ("account", sendings.of_account >= PER_ACCOUNT),
        ("prefix", sendings.to_prefix >= ceilings.per_prefix),
        ("all", sendings.to_all >= ceilings.in_all),
        ("unused", sendings.over >= BREAKER_FROM and sendings.used * BREAKER_SHARE < sendings.over),
    )
    return next((limit for limit, is_reached in reached if is_reached), None)
