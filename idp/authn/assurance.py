"""acr and amr, computed from the authenticators really used and from nothing else."""

from collections.abc import Iterable

from idp.authn.methods import Factor, Method, find_method
from idp.model.assurance import Assurance, Evidence

AMR_ORDER = ("pwd", "otp", "sms", "hwk", "swk", "user", "mfa")


def assess(evidence: Iterable[Evidence]) -> Assurance | None:
    """What these uses amount to, or None if nothing was proved.

    The same authenticator used twice counts once, and so does the same factor: two apps are one factor. A WebAuthn
    credential that verified its user is two factors in one (WebAuthn Level 3 §6.2.3; NIST SP 800-63B-4 §3.1.7).
    A use of a method that is not offered any more proves nothing.
    """
    uses = [(method, one) for one in evidence if (method := find_method(one.method)) is not None]
    if not uses:
        return None
    acr = _acr(uses)
    names = {name for method, one in uses for name in method.amr(one)} | ({"mfa"} if acr != "1fa" else set())
    amr = tuple(sorted(names, key=AMR_ORDER.index))
    return Assurance(acr, amr, max(one.at for _, one in uses))


def _acr(uses: list[tuple[Method, Evidence]]) -> str:
    resistant = [one for method, one in uses if method.phishing_resistant]
    factors: set[Factor] = {method.factor for method, _ in uses}
    if len(factors) < 2 and not any(one.user_verified for one in resistant):
        return "1fa"
    if not resistant:
        return "mfa"
    return "phrh" if any(one.device_bound and one.attested for one in resistant) else "phr"
