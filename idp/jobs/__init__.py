"""What is done by itself: the visible list of jobs, which one of the processes runs."""

from datetime import timedelta

from idp.jobs import batches
from idp.jobs.job import Duties, Job, Round

__all__ = ["JOBS", "Duties", "Job", "Round"]

EACH_MINUTE = timedelta(minutes=1)
OFTEN = timedelta(minutes=10)
SELDOM = timedelta(hours=1)

JOBS: tuple[Job, ...] = (
    Job("audit_seals", EACH_MINUTE, batches.seal_audit_trail),
    Job("factor_recovery_reminders", OFTEN, batches.remind, size=100),
    Job("interactions", OFTEN, batches.forget_interactions),
    Job("attempts", OFTEN, batches.forget_attempts),
    Job("authorization_codes", OFTEN, batches.forget_authorization_codes),
    Job("refresh_tokens", OFTEN, batches.forget_refresh_tokens),
    Job("sessions", OFTEN, batches.forget_sessions),
    Job("client_assertions", OFTEN, batches.forget_client_assertions),
    Job("revoked_access_tokens", OFTEN, batches.forget_revoked_access_tokens),
    Job("messages", OFTEN, batches.forget_messages),
    Job("sent_codes", OFTEN, batches.forget_sent_codes),
    Job("mail_links", OFTEN, batches.forget_mail_links),
    Job("invitations", OFTEN, batches.forget_invitations),
    Job("totp_enrolments", OFTEN, batches.forget_totp_enrolments),
    Job("known_devices", SELDOM, batches.forget_known_devices),
    Job("known_networks", SELDOM, batches.forget_known_networks),
    Job("factor_recoveries", SELDOM, batches.forget_factor_recoveries),
    Job("audit_events", SELDOM, batches.forget_audit_events),
    Job("old_audit_seals", SELDOM, batches.forget_audit_seals),
)
