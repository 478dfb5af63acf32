"""How many codes may be sent: to one recipient, for one account, to one prefix, and in all (G8).

Text messages cost money, and there are people who earn by them: they have codes sent to numbers of theirs that nobody
ever types in. So a prefix of which the codes do not come back is left alone for a while.
"""

from idp.model.sent_code import Sendings

PER_RECIPIENT = 3
"""In ten minutes: a person who needs a fourth has another trouble, and a stranger's telephone is left in peace."""
PER_ACCOUNT = 10
"""In an hour, whatever the number: so that nobody has many numbers tried from one account."""
PER_PREFIX = 30
"""In an hour, to numbers that share all but their last four digits: what is rented for pumping is a range of these."""
IN_ALL = 1000
"""In an hour: more than ten thousand people need who sign in once a day, and a loss that can be borne."""
BREAKER_FROM = 15
"""So many codes to a prefix have to be over before it is judged by them."""
BREAKER_SHARE = 5
"""One in so many of them has to have been used. Of people who sign in, more than half use theirs."""


def held_back(sendings: Sendings) -> str | None:
    """Why one more code may not be sent now, a word for the audit trail; None if it may."""
    reached = (
        ("recipient", sendings.to_recipient >= PER_RECIPIENT),
        ("account", sendings.of_account >= PER_ACCOUNT),
        ("prefix", sendings.to_prefix >= PER_PREFIX),
        ("all", sendings.to_all >= IN_ALL),
        ("unused", sendings.over >= BREAKER_FROM and sendings.used * BREAKER_SHARE < sendings.over),
    )
    return next((limit for limit, is_reached in reached if is_reached), None)
