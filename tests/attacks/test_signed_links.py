"""Signed links: for one purpose, one order and one time, whatever is changed in them."""

from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import URLSafeSerializer

from domain.ids import FulfillmentRef
from domain.links import LinkExpiredError, LinkInvalidError, Links
from domain.orders import Question
from tests.harness.paid_orders import record_order
from tests.harness.world import SIGNING_SECRET, World

REF = FulfillmentRef(session_id="cs_test_mine", line_item_id="li_1", kind="download")
OTHERS = FulfillmentRef(session_id="cs_test_others", line_item_id="li_2", kind="download")
LINKS = Links("https://shop.example.com", [SIGNING_SECRET])


def _token(url: str) -> str:
    return url.rpartition("/")[2].rpartition("=")[2]


ANSWER = _token(LINKS.answer(REF, Question.ADDRESS))
DOWNLOAD = _token(LINKS.download(REF, "song.mp3", None))
ORDER = LINKS.order_token(REF.session_id)


def _opens(token: str) -> set[str]:
    """All that a token lets its bearer do."""
    opened = {"order"} if LINKS.shows_order(token, REF.session_id) else set()
    for name, read in (("answer", LINKS.read_answer), ("download", LINKS.read_download)):
        try:
            read(token)
        except LinkInvalidError:
            continue
        opened.add(name)
    return opened


@pytest.mark.parametrize(
    ("token", "purpose"), [(ANSWER, "answer"), (DOWNLOAD, "download"), (ORDER, "order")]
)
def test_a_token_is_good_for_its_own_purpose_only(token: str, purpose: str) -> None:
    assert _opens(token) == {purpose}
    assert not LINKS.shows_order(token, OTHERS.session_id)


def _changed(token: str, **values: object) -> str:
    """The token with other contents under its old signature."""
    content, _, signature = token.rpartition(".")
    form = URLSafeSerializer("nobody's secret")
    written = form.dump_payload({**form.load_payload(content.encode()), **values})
    return f"{written.decode()}.{signature}"


@pytest.mark.parametrize(
    "changed",
    [
        _changed(DOWNLOAD, session_id=OTHERS.session_id),
        _changed(DOWNLOAD, file="another.mp3"),
        _changed(DOWNLOAD, expires=9_999_999_999),
        _changed(ANSWER, question=Question.OUT_OF_STOCK),
        _changed(ANSWER, line_item_id=OTHERS.line_item_id),
        f"{ORDER.rpartition('.')[0]}.{DOWNLOAD.rpartition('.')[2]}",
        f"{DOWNLOAD.rpartition('.')[0]}.",
        DOWNLOAD.rpartition(".")[0],
    ],
)
def test_what_was_changed_in_a_token_opens_nothing(changed: str) -> None:
    assert _opens(changed) == set()


def test_contents_written_anew_as_they_were_are_the_same_token() -> None:
    # Else the test above would pass on any nonsense.
    assert _opens(_changed(DOWNLOAD)) == {"download"}


def test_no_character_of_a_signature_can_be_another() -> None:
    content, _, signature = DOWNLOAD.rpartition(".")
    # The last one holds bits that are not read.
    for place, mark in enumerate(signature[:-1]):
        other = "B" if mark == "A" else "A"
        assert _opens(f"{content}.{signature[:place]}{other}{signature[place + 1 :]}") == set()


def test_a_token_ends_with_its_time_and_with_its_secret() -> None:
    over = _token(LINKS.download(REF, "song.mp3", datetime.now(UTC) - timedelta(seconds=2)))
    with pytest.raises(LinkExpiredError):
        LINKS.read_download(over)
    token = _token(LINKS.download(REF, "song.mp3", datetime.now(UTC) + timedelta(hours=1)))
    rotated = Links(
        "https://shop.example.com", ["the-next-secret-of-customers-links", SIGNING_SECRET]
    )
    assert rotated.read_download(token).file == "song.mp3"
    replaced = Links("https://shop.example.com", ["the-next-secret-of-customers-links"])
    with pytest.raises(LinkInvalidError):
        replaced.read_download(token)


async def test_each_purpose_has_its_own_door(world: World) -> None:
    async with world.database.transaction() as connection:
        ref = await record_order(connection, "download", {})
    answer = _token(LINKS.answer(ref, Question.ADDRESS))
    download = _token(LINKS.download(ref, "song.mp3", None))
    order = LINKS.order_token(ref.session_id)
    for token in (answer, order):
        assert (await world.api.get(f"/downloads/{token}")).status_code == 404
    for token in (download, order):
        assert (await world.api.get("/answer", params={"token": token})).status_code == 404
        assert (await world.api.post("/answer", data={"token": token})).status_code == 404
    await world.execute(
        "UPDATE orders SET state = 'fulfilled', checkout_created_at = now() - interval '3 days' "  # noqa: S608 - ours
        f"WHERE session_id = '{ref.session_id}'"
    )
    visit = {"session_id": ref.session_id, "token": order}
    assert "Mug" in (await world.api.get("/after-checkout", params=visit)).text
    world.api.cookies.clear()
    for token in (answer, download, LINKS.order_token(OTHERS.session_id)):
        page = await world.api.get("/after-checkout", params={**visit, "token": token})
        assert page.status_code == 200
        assert "Mug" not in page.text
