"""Disputes over the API. See "Disputes" in Stripe's API reference."""

from ..operations import Call, operation
from ..payments.disputes import answer_dispute, close_dispute
from ..store import StripeObject
from .common import update


@operation("POST /v1/disputes/{dispute}")
def modify(call: Call) -> StripeObject:
    """Add evidence; the test evidence `winning_evidence` and `losing_evidence` decide."""
    dispute = call.target("dispute", "dispute")
    update(dispute, call.params, ())
    evidence = {
        name: value or None
        for name, value in call.params.get("evidence", {}).items()
        if isinstance(value, str)
    }
    return answer_dispute(
        call.emulator, call.account, dispute, evidence, submit=call.params.get("submit", True)
    )


@operation("POST /v1/disputes/{dispute}/close")
def close(call: Call) -> StripeObject:
    """Accept the dispute: it is lost."""
    dispute = call.target("dispute", "dispute")
    return close_dispute(call.emulator, call.account, dispute, won=False)
