"""`fulfillment retry`, `skip` and `fulfill`: what operators decide about a stuck step."""

from typing import Annotated

import typer

from commands.terminal import AsJson, By, Yes, confirm, known, print_json, run, say
from commands.workplace import Workplace, open_workplace
from domain.errors import PermanentError
from domain.refunds import REQUEST_PREFIX
from settings import Settings, load
from workflows.contract import OperatorDecision, StepView
from workflows.refund_order import ID_PREFIX
from workflows.steps import PARKED_STATES, StepState, Verdict

_Workflow = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Of a Checkout Session, cs_…; of a refund or dispute, re_… or du_…; of a refund that "
        "was asked for here, rfr_….",
    ),
]
_StepName = Annotated[
    str | None,
    typer.Argument(metavar="STEP", help="As `show` names it; by default the one that is stuck."),
]
_Why = Annotated[str, typer.Option(help="Why; no personal data.")]


def retry(
    workflow_id: _Workflow,
    step: _StepName = None,
    *,
    by: By,
    reason: _Why = "",
    as_json: AsJson = False,
) -> None:
    """Tries a stuck step again, by what is configured now."""
    view = _decide(Verdict.RETRY, workflow_id, step, by, reason)
    _answer(view, f"{view.step} is tried again", as_json=as_json)


def skip(
    workflow_id: _Workflow,
    step: _StepName = None,
    *,
    by: By,
    reason: _Why,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Gives a stuck step up, for good: the rest of the order goes on without it."""
    confirm(f"Give {step or 'the stuck step'} of {workflow_id} up for good?", yes=yes)
    view = _decide(Verdict.SKIP, workflow_id, step, by, reason)
    _answer(view, f"{view.step} is given up", as_json=as_json)


def fulfill(
    workflow_id: _Workflow,
    step: _StepName = None,
    *,
    by: By,
    reason: _Why = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Settles a stuck step: a person has delivered, or taken back, what it is for."""
    confirm(f"Has a person done {step or 'the stuck step'} of {workflow_id}?", yes=yes)
    view = _decide(Verdict.MARK_FULFILLED, workflow_id, step, by, reason)
    _answer(view, f"{view.step} is done", as_json=as_json)


def _decide(verdict: Verdict, workflow_id: str, step: str | None, by: str, reason: str) -> StepView:
    settings = load(Settings)
    who = known(by)
    if workflow_id.startswith(REQUEST_PREFIX):
        workflow_id = f"{ID_PREFIX}{workflow_id}"

    async def work() -> StepView:
        async with open_workplace(settings) as workplace:
            name = step or await _stuck(workplace, workflow_id)
            decision = OperatorDecision(step=name, by=who, reason=reason)
            return await workplace.operators.decide(workflow_id, verdict, decision)

    return run(work())


async def _stuck(workplace: Workplace, workflow_id: str) -> str:
    """The only step that waits for an operator; where none does, the only one that waits.

    Raises:
        PermanentError: There is none, or there are several.
    """
    views = await workplace.operators.steps(workflow_id)
    if views is None:
        raise PermanentError("no_workflow", f"no workflow {workflow_id} runs")
    stuck = [view for view in views if view.state in PARKED_STATES]
    waiting = stuck or [view for view in views if view.state == StepState.WAITING]
    if len(waiting) == 1:
        return waiting[0].step
    if not waiting:
        raise PermanentError("nothing_stuck", f"no step of {workflow_id} waits for anybody")
    names = "".join(f"\n  {view.step} ({view.error or view.state})" for view in waiting)
    raise PermanentError("several_steps", f"several steps wait, name one of them:{names}")


def _answer(view: StepView, words: str, *, as_json: bool) -> None:
    if as_json:
        print_json(view.model_dump(mode="json"))
    else:
        say(words)
