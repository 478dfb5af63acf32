"""How each method looks to people: the visible list, one file each, beside the one that judges it."""

from idp.web.steps import email, password, recovery, sms, totp, webauthn
from idp.web.steps.step import Stage, Step

__all__ = ["STEPS", "Stage", "Step", "step_of"]

STEPS: tuple[Step, ...] = (password.STEP, totp.STEP, webauthn.STEP, sms.STEP, email.STEP, recovery.STEP)


def step_of(method: str) -> Step:
    """The step of this method; raises LookupError for one that is not offered."""
    for step in STEPS:
        if step.method == method:
            return step
    raise LookupError(f"no step for the method {method}")
