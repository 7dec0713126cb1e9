"""What operators do to an order as a whole: hold, release, redirect, mail again, refund."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel

from activities.desk import Desk
from commands.terminal import (
    AsJson,
    By,
    Yes,
    confirm,
    known,
    print_json,
    refuse,
    run,
    say,
)
from commands.workplace import open_workplace
from database.emails import RECEIPT
from domain.catalog import CatalogError
from domain.checkout import Address
from domain.mail import check_address
from domain.refunds import RefundReason
from settings import Settings, load
from workflows.contract import ChangeAddressRequest

_Session = Annotated[str, typer.Argument(metavar="cs_…", help="Of which Checkout Session.")]
_Why = Annotated[str, typer.Option(help="Why; no personal data.")]
_T = TypeVar("_T")


def hold(session_id: _Session, *, by: By, reason: _Why, as_json: AsJson = False) -> None:
    """Delivers nothing more of an order until it is released."""
    by = known(by)
    _at_desk(lambda desk: desk.hold(session_id, on_hold=True, by=by, note=reason))
    _done(f"{session_id} is held", as_json=as_json)


def release(session_id: _Session, *, by: By, reason: _Why = "", as_json: AsJson = False) -> None:
    """Delivers after all what was held."""
    by = known(by)
    _at_desk(lambda desk: desk.hold(session_id, on_hold=False, by=by, note=reason))
    _done(f"{session_id} is released", as_json=as_json)


def _mail_address(text: str) -> str:
    try:
        return check_address(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def resend(
    session_id: _Session,
    *,
    email: Annotated[
        str, typer.Option(metavar="NAME", help="Which mail: `show` names those that were sent.")
    ] = RECEIPT,
    to: Annotated[
        str | None,
        typer.Option(
            parser=_mail_address,
            metavar="ADDRESS",
            help="A corrected address, also of later mails; by default where they go now.",
        ),
    ] = None,
    by: By,
    reason: _Why = "",
    as_json: AsJson = False,
) -> None:
    """Sends the receipt, or another mail, again, as the order stands now."""
    by = known(by)
    sent = _at_desk(lambda desk: desk.resend(session_id, email, to=to, by=by, note=reason))
    _done(f"{sent.name} is mailed again, as {sent.key}", sent, as_json=as_json)


def redirect(
    session_id: _Session,
    *,
    name: Annotated[str, typer.Option(help="Who receives it.")],
    line1: Annotated[str, typer.Option(help="Street and number.")],
    line2: Annotated[str | None, typer.Option(help="Floor, door, company.")] = None,
    city: Annotated[str | None, typer.Option()] = None,
    state: Annotated[str | None, typer.Option(help="State or province.")] = None,
    postal_code: Annotated[str | None, typer.Option()] = None,
    country: Annotated[str, typer.Option(metavar="CC", help="As in DE.")],
    phone: Annotated[str | None, typer.Option(help="For the carrier.")] = None,
    by: By,
    reason: _Why = "",
    as_json: AsJson = False,
) -> None:
    """Has parcels that no carrier has booked yet go to another address."""
    address = Address(
        name=name,
        line1=line1,
        line2=line2,
        city=city,
        state=state,
        postal_code=postal_code,
        country=country.upper(),
    )
    try:
        asked = ChangeAddressRequest(by=known(by), reason=reason, address=address, phone=phone)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    _at_desk(
        lambda desk: desk.change_address(
            session_id, asked.address, asked.phone, by=asked.by, note=asked.reason
        )
    )
    _done(f"{session_id} goes to the new address", as_json=as_json)


def _pieces(text: str) -> tuple[str, int]:
    line_item_id, _, pieces = text.partition("=")
    if not line_item_id or not pieces.isdecimal() or int(pieces) < 1:
        raise typer.BadParameter("say which line item, and how many pieces: li_…=1")
    return line_item_id, int(pieces)


def refund(
    session_id: _Session,
    *,
    line: Annotated[
        list[str] | None,
        typer.Option(metavar="li_…=N", help="Pieces of a line item; may be repeated."),
    ] = None,
    amount_minor: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="How much, in minor units of the order's currency; by default what the pieces "
            "were paid. Without --line the customer keeps everything.",
        ),
    ] = None,
    stripe_reason: Annotated[RefundReason | None, typer.Option(help="Stripe's own word.")] = None,
    by: By,
    reason: _Why,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Gives money back, by default all that is left; what it paid for is taken back."""
    by = known(by)
    lines = dict(_pieces(each) for each in line) if line else None
    what = [*(line or []), *([f"{amount_minor} minor units"] if amount_minor else [])]
    confirm(f"Refund {', '.join(what) or 'all that is left'} of {session_id}?", yes=yes)
    request = _at_desk(
        lambda desk: desk.refund(
            session_id,
            by=by,
            note=reason,
            lines=lines,
            amount_minor=amount_minor,
            reason=stripe_reason,
        )
    )
    _done(f"{request.id} is asked for: its workflow makes it", request, as_json=as_json)


def _at_desk(act: Callable[[Desk], Awaitable[_T]]) -> _T:
    settings = load(Settings)

    async def work() -> _T:
        async with open_workplace(settings) as workplace:
            return await act(workplace.desk())

    try:
        return run(work())
    except CatalogError as error:
        refuse(f"CATALOG_FILE: {error.message}")


def _done(words: str, made: BaseModel | None = None, *, as_json: bool) -> None:
    if as_json:
        print_json(made.model_dump(mode="json") if made else {"done": words})
    else:
        say(words)
