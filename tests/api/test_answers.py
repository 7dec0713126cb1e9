"""What a customer can answer by a signed link, and what a link alone does not do."""

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.async_api import expect

from database.backorders import join_queue, leave_queue
from database.questions import (
    AnsweredBy,
    AskedQuestion,
    answer,
    ask,
    read_questions,
    take_defaults,
    withdraw,
)
from domain.ids import FulfillmentRef
from domain.links import Links
from domain.orders import Question, StockAnswer
from domain.shipping import ParcelItem
from tests.harness.browser import chromium, needs_browser
from tests.harness.paid_orders import ADDRESS, record_shipments
from tests.harness.world import SIGNING_SECRET, World

STOCK, TO = Question.OUT_OF_STOCK, Question.ADDRESS
IN_A_WEEK = datetime.now(UTC) + timedelta(days=7)
NEW = {
    "name": "Ada Roe",
    "line1": "Hauptstr. 5",
    "line2": "c/o Doe",
    "postal_code": "10115",
    "city": "Berlin",
    "state": "",
    "country": "DE",
    "phone": "+49 30 123456",
}


LABELS = {
    "Name": "name",
    "Street and house number": "line1",
    "Apartment, floor, company": "line2",
    "Postal code": "postal_code",
    "City": "city",
    "Phone, for the carrier": "phone",
}


async def _asked(
    world: World, question: Question, default_at: datetime | None = IN_A_WEEK
) -> FulfillmentRef:
    [ref] = await record_shipments(world.database)
    async with world.database.transaction() as connection:
        await ask(connection, ref, question, default_at)
        if question is STOCK:
            await join_queue(connection, ref, [ParcelItem(sku="X", quantity=1, weight_grams=1)])
    return ref


def _token(world: World, ref: FulfillmentRef, question: Question) -> str:
    url = Links(world.settings.public_url, [SIGNING_SECRET]).answer(ref, question)
    assert url.startswith(f"{world.settings.public_url}/answer?token=")
    return url.partition("token=")[2]


async def _open(world: World, ref: FulfillmentRef, question: Question) -> httpx.Response:
    return await world.api.get("/answer", params={"token": _token(world, ref, question)})


async def _send(
    world: World, ref: FulfillmentRef, question: Question, **fields: str
) -> httpx.Response:
    """Sends the form and follows it to the page behind."""
    data = {"token": _token(world, ref, question), **fields}
    return await world.api.post("/answer", data=data, follow_redirects=True)


async def _recorded(world: World, ref: FulfillmentRef, question: Question) -> AskedQuestion:
    async with world.database.transaction() as connection:
        return (await read_questions(connection, ref))[question]


def _heading(page: httpx.Response) -> str:
    [heading] = re.findall("<h1>(.*)</h1>", page.text)
    return str(heading)


async def test_to_open_a_link_asks_and_answers_nothing(world: World) -> None:
    ref = await _asked(world, STOCK)
    for _ in range(2):
        page = await _open(world, ref, STOCK)
        assert page.status_code == 200
        assert _heading(page) == "We are sorry: this has sold out"
        assert "Mug &lt;blue&gt;</span>" in page.text
        assert 'value="wait"' in page.text
        assert 'value="refund"' in page.text
        assert "If we do not hear from you by" in page.text
        assert page.headers["Cache-Control"] == "no-store"
        assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    assert (await _recorded(world, ref, STOCK)).answer is None


async def test_a_question_that_waits_says_so(world: World) -> None:
    ref = await _asked(world, STOCK, default_at=None)
    page = await _open(world, ref, STOCK)
    assert "If we do not hear from you, we send it as soon as there is more." in page.text


async def test_who_waits_may_have_the_money_back_later_and_not_the_other_way_round(
    world: World,
) -> None:
    ref = await _asked(world, STOCK)
    waiting = await _send(world, ref, STOCK, choice="wait")
    assert _heading(waiting) == "Thank you for waiting"
    assert 'value="wait"' not in waiting.text
    assert 'value="refund"' in waiting.text
    refunded = await _send(world, ref, STOCK, choice="refund")
    assert _heading(refunded) == "You get your money back"
    assert "<form" not in refunded.text
    assert _heading(await _send(world, ref, STOCK, choice="wait")) == "You get your money back"
    recorded = await _recorded(world, ref, STOCK)
    assert recorded.answer == StockAnswer.REFUND
    assert recorded.answered_by is AnsweredBy.CUSTOMER


async def test_what_has_its_stock_is_not_paid_back_any_more(world: World) -> None:
    ref = await _asked(world, STOCK)
    await _send(world, ref, STOCK, choice="wait")
    async with world.database.transaction() as connection:
        await leave_queue(connection, ref)
    late = await _send(world, ref, STOCK, choice="refund")
    assert _heading(late) == "Good news: it is there again"
    assert (await _recorded(world, ref, STOCK)).answer == StockAnswer.WAIT


async def test_a_default_that_was_taken_is_told(world: World) -> None:
    ref = await _asked(world, STOCK, default_at=datetime.now(UTC))
    async with world.database.transaction() as connection:
        assert await take_defaults(connection, ref) == {STOCK}
    page = await _send(world, ref, STOCK, choice="wait")
    assert "We did not hear from you in time" in page.text
    assert (await _recorded(world, ref, STOCK)).answered_by is AnsweredBy.DEFAULT


async def test_a_choice_that_there_is_not_is_asked_again(world: World) -> None:
    ref = await _asked(world, STOCK)
    for fields in ({}, {"choice": "both"}):
        page = await _send(world, ref, STOCK, **fields)
        assert _heading(page) == "We are sorry: this has sold out"
    assert (await _recorded(world, ref, STOCK)).answer is None


async def test_another_address_becomes_the_orders(world: World) -> None:
    ref = await _asked(world, TO)
    page = await _open(world, ref, TO)
    assert _heading(page) == "Where shall we send it?"
    assert '<option value="US" selected>United States</option>' in page.text
    # Whoever got the link by mistake reads nothing of where the customer lives.
    assert "Springfield" not in page.text
    assert "Jo Doe" not in page.text
    assert _heading(await _send(world, ref, TO, **NEW)) == "Thank you for the address"
    order = await world.order(ref.session_id)
    assert order.shipping_address is not None
    assert order.shipping_address.model_dump() == {
        **{name: value or None for name, value in NEW.items() if name != "phone"}
    }
    assert order.collected is not None
    assert order.collected.phone == "+49 30 123456"


async def test_the_first_address_counts(world: World) -> None:
    ref = await _asked(world, TO)
    await _send(world, ref, TO, **NEW)
    again = await _send(world, ref, TO, **{**NEW, "city": "Potsdam"})
    assert _heading(again) == "Thank you for the address"
    order = await world.order(ref.session_id)
    assert order.shipping_address is not None
    assert order.shipping_address.city == "Berlin"


async def test_an_address_that_comes_late_is_taken_all_the_same(world: World) -> None:
    ref = await _asked(world, TO, default_at=datetime.now(UTC))
    async with world.database.transaction() as connection:
        await take_defaults(connection, ref)
    page = await _open(world, ref, TO)
    assert "it may take us a little longer now" in page.text
    assert _heading(await _send(world, ref, TO, **NEW)) == "Thank you for the address"


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"name": " "}, "Enter who the parcel is for."),
        ({"line1": ""}, "Enter the street and the house number."),
        ({"city": "Ber\nlin"}, "Enter the city."),
        ({"country": "ZZ"}, "Choose a country that we ship to."),
        ({"country": ""}, "Choose a country that we ship to."),
        ({"postal_code": "1011511511515"}, "Enter a postal code as it is written on letters."),
        ({"line2": "x" * 201}, "Shorten this."),
        ({"phone": "call me"}, "Enter digits"),
    ],
)
async def test_an_address_that_makes_no_sense_is_asked_again_with_what_was_entered(
    world: World, wrong: dict[str, str], problem: str
) -> None:
    ref = await _asked(world, TO)
    page = await _send(world, ref, TO, **{**NEW, **wrong})
    assert page.status_code == 422
    [name] = wrong
    assert f'<li><a href="#{name}">{problem}' in page.text
    assert f'aria-describedby="{name}-problem"' in page.text
    assert ('value="Ada Roe"' in page.text) == (name != "name")
    assert (await _recorded(world, ref, TO)).answer is None
    assert (await world.order(ref.session_id)).shipping_address == ADDRESS


async def test_what_was_entered_is_escaped(world: World) -> None:
    ref = await _asked(world, TO)
    page = await _send(world, ref, TO, **{**NEW, "name": '"><script>x', "city": ""})
    assert "&#34;&gt;&lt;script&gt;x" in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize("token", ["", "x", "eyJhIjoxfQ.abc", "\u0661"])
async def test_a_link_that_is_not_ours_is_not_found(world: World, token: str) -> None:
    assert (await world.api.get("/answer", params={"token": token})).status_code == 404
    assert (await world.api.post("/answer", data={"token": token})).status_code == 404


async def test_a_link_to_answer_is_good_for_one_question_only(world: World) -> None:
    ref = await _asked(world, STOCK)
    assert (await _open(world, ref, TO)).status_code == 404
    links = Links(world.settings.public_url, [SIGNING_SECRET])
    download = links.download(ref, "file", None).rpartition("/")[2]
    assert (await world.api.get("/answer", params={"token": download})).status_code == 404


async def test_what_is_not_asked_any_more_is_gone(world: World) -> None:
    ref = await _asked(world, STOCK)
    async with world.database.transaction() as connection:
        await withdraw(connection, ref)
    assert (await _open(world, ref, STOCK)).status_code == 410
    gone = await _send(world, ref, STOCK, choice="refund")
    assert gone.status_code == 410
    assert _heading(gone) == "This link is no longer needed"


async def test_a_body_without_end_or_sense_is_refused(world: World) -> None:
    for body, status in (
        (b"token=" + b"x" * 2_000_000, 413),
        (b"\xff\xfe", 400),
        (b"&a=1" * 50, 400),
    ):
        refused = await world.api.post("/answer", content=body)
        assert refused.status_code == status


async def test_stock_that_came_before_the_answer_leaves_nothing_to_choose(world: World) -> None:
    ref = await _asked(world, STOCK)
    async with world.database.transaction() as connection:
        await leave_queue(connection, ref)
        await answer(connection, ref, STOCK, StockAnswer.WAIT, AnsweredBy.DEFAULT)
    assert _heading(await _open(world, ref, STOCK)) == "Good news: it is there again"


@needs_browser
async def test_a_person_fills_the_forms_in_without_javascript(world: World) -> None:
    moved, sold_out = await _asked(world, TO), await _asked(world, STOCK)
    links = Links(world.settings.public_url, [SIGNING_SECRET])
    async with chromium() as browser:
        page = await browser.new_page(java_script_enabled=False)
        await page.goto(links.answer(moved, TO))
        for label, name in LABELS.items():
            await page.get_by_label(label).fill(NEW[name])
        await page.get_by_label("Country").select_option("Germany")
        await page.get_by_role("button", name="Send it there").click()
        await expect(page.get_by_role("heading")).to_have_text("Thank you for the address")

        await page.goto(links.answer(sold_out, STOCK))
        await page.get_by_role("button", name="I would like to wait").click()
        await expect(page.get_by_role("heading")).to_have_text("Thank you for waiting")
    address = (await world.order(moved.session_id)).shipping_address
    assert address is not None
    assert (address.line1, address.country) == ("Hauptstr. 5", "DE")
    assert (await _recorded(world, sold_out, STOCK)).answer == StockAnswer.WAIT
