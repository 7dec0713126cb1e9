"""Early fraud warnings: a card's issuer suspects fraud. See "The Early Fraud Warning object"."""

from typing import Final

from ..emulator import Emulator
from ..ids import new_id, now
from ..store import Account, StripeObject

KIND: Final = "radar.early_fraud_warning"


def warn_of_fraud(
    emulator: Emulator, account: Account, charge: StripeObject, *, fraud_type: str
) -> StripeObject:
    """The issuer reports a charge; it is actionable unless all of it is refunded, or disputed."""
    warning: StripeObject = {
        "id": new_id("issfr"),
        "object": KIND,
        "actionable": not (charge["refunded"] or charge["disputed"]),
        "charge": charge["id"],
        "created": now(),
        "fraud_type": fraud_type,
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }
    account.add(warning)
    emulator.emit(account, f"{KIND}.created", warning)
    return warning


def end_warnings(emulator: Emulator, account: Account, charge: StripeObject) -> None:
    """Tell that nothing can be done about a charge any more: it is refunded, or disputed."""
    for warning in account.newest_first(KIND):
        if warning["charge"] == charge["id"] and warning["actionable"]:
            warning["actionable"] = False
            emulator.emit(account, f"{KIND}.updated", warning, {"actionable": True})
