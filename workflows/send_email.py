"""The workflow that sends one mail of the log again; its ID names the mail."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.mails import MailActivities, SendEmailInput
    from workflows import options

WORKFLOW = "SendEmail"


@workflow.defn(name=WORKFLOW)
class SendEmail:
    """Sends a mail, however long the mail server is away; the log says how it ended."""

    @workflow.run
    async def run(self, email: SendEmailInput) -> None:
        """Raises ActivityError when the mail server refuses it, or stays away for too long."""
        await workflow.execute_activity_method(
            MailActivities.send_email,
            email,
            start_to_close_timeout=options.MAIL.timeout,
            schedule_to_close_timeout=options.MAIL.give_up_after,
            heartbeat_timeout=options.MAIL.heartbeat,
            retry_policy=options.RETRY,
            summary=f"{email.name} {email.key}",
        )
