"""The workflow that mails operators what needs them: the first at once, what follows gathered."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.alerts import AlertActivities
    from workflows import options

WORKFLOW = "MailAlerts"
RECORDED_SIGNAL = "alert_recorded"


@workflow.defn(name=WORKFLOW)
class MailAlerts:
    """Mails alerts, at most one mail in `options.ALERT_GATHERING`."""

    def __init__(self) -> None:
        self._recorded = False

    @workflow.run
    async def run(self) -> None:
        """Runs until nothing was recorded for a while.

        Raises ActivityError when the mail server refuses it, or stays away for too long; the next
        sweep begins anew.
        """
        while True:
            self._recorded = False
            await workflow.execute_activity_method(
                AlertActivities.mail_alerts,
                start_to_close_timeout=options.MAIL.timeout,
                schedule_to_close_timeout=options.MAIL.give_up_after,
                heartbeat_timeout=options.MAIL.heartbeat,
                retry_policy=options.RETRY,
            )
            await workflow.sleep(options.ALERT_GATHERING, summary="gather what else is stuck")
            if not self._recorded:
                return
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new()

    @workflow.signal(name=RECORDED_SIGNAL, description="There is something to tell operators")
    def alert_recorded(self) -> None:
        """Mails again, once enough time has passed."""
        self._recorded = True
