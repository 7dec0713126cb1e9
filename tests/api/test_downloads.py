"""Files by signed links: what is sent, what it costs, and when it ends."""

import asyncio
from pathlib import Path

import httpx
import pytest

from domain.orders import DeliverableType
from tests.harness.world import World, eventually

CONTENT = bytes(range(256)) * 4000


async def _bought(world: World, quantity: int = 1, **parameters: str) -> tuple[str, Path]:
    """The link and the file of a download that was bought."""
    folder = world.settings.downloads_folder
    assert folder is not None
    path = folder / "notes äöü.bin"
    path.write_bytes(CONTENT)
    metadata = {"fulfillment": "download", "download_files": path.name, **parameters}
    async with world.worker():
        session_id = await world.shop.buy(metadata, quantity=quantity)
        await world.result(session_id)
    [line] = (await world.order(session_id)).lines
    [[item]] = [item.delivered for item in line.fulfillments]
    assert (item.type, item.value) == (DeliverableType.FILE, path.name)
    page = await world.api.get("/after-checkout", params={"session_id": session_id})
    [mail] = await world.mails()
    link = page.text.partition('href="' + world.settings.public_url + "/downloads/")[2]
    token = link.partition('"')[0]
    assert f"/downloads/{token}" in mail["text"]
    return f"/downloads/{token}", path


async def _get(world: World, link: str, asked: str = "", **headers: str) -> httpx.Response:
    return await world.api.get(link, headers={**headers, **({"Range": asked} if asked else {})})


async def test_a_file_arrives_whole_under_its_name(world: World) -> None:
    link, _ = await _bought(world)
    answer = await _get(world, link)
    assert (answer.status_code, answer.content == CONTENT) == (200, True)
    disposition = answer.headers["Content-Disposition"]
    assert disposition == "attachment; filename*=utf-8''notes%20%C3%A4%C3%B6%C3%BC.bin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in answer.headers["Cache-Control"]


async def test_parts_of_it_make_the_whole(world: World) -> None:
    link, path = await _bought(world, download_limit="1")
    head = await world.api.head(link)
    assert head.headers["Content-Length"] == str(len(CONTENT))
    etag = head.headers["ETag"]
    first = await _get(world, link, "bytes=0-499999")
    beyond = await _get(world, link, f"bytes={path.stat().st_size}-")
    assert beyond.status_code == 416
    rest = await _get(world, link, "bytes=500000-", **{"If-Range": etag})
    assert [first.status_code, rest.status_code] == [206, 206]
    assert first.content + rest.content == CONTENT
    assert rest.headers["Content-Range"] == f"bytes 500000-{len(CONTENT) - 1}/{len(CONTENT)}"
    # All of it was sent once: a byte more is one too many.
    assert (await _get(world, link, "bytes=1-1")).status_code == 403


async def test_a_part_of_another_version_is_the_whole_of_this_one(world: World) -> None:
    link, _ = await _bought(world)
    answer = await _get(world, link, "bytes=5-", **{"If-Range": '"another"'})
    assert (answer.status_code, len(answer.content)) == (200, len(CONTENT))


async def test_it_is_loaded_as_often_as_was_bought_also_all_at_once(world: World) -> None:
    link, _ = await _bought(world, quantity=2, download_limit="2")
    answers = await asyncio.gather(*(_get(world, link) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [200] * 4 + [403] * 8
    assert "as often as it may be" in (await _get(world, link)).text


@pytest.mark.parametrize("asked", ["bytes=1-", "bytes=0-0,1-", "bytes=-1023999"])
async def test_no_range_gets_around_the_limit(world: World, asked: str) -> None:
    link, _ = await _bought(world, download_limit="1")
    answers = [await _get(world, link, asked) for _ in range(3)]
    sent = sum(len(answer.content) for answer in answers if answer.is_success)
    assert sent < 2 * len(CONTENT) + 1000
    assert answers[-1].status_code == 403


async def test_what_broke_off_is_not_counted(world: World) -> None:
    link, path = await _bought(world, download_limit="1")
    # Larger than what the sockets between us buffer.
    path.write_bytes(CONTENT * 40)

    async def breaks_off() -> bool | None:
        async with world.api.stream("GET", link) as answer:
            async for _chunk in answer.aiter_bytes():
                return answer.status_code == 200 or None
        return None

    for _ in range(3):
        await eventually(breaks_off)

    async def arrives() -> bool | None:
        answer = await _get(world, link)
        return len(answer.content) == len(CONTENT) * 40 or None

    await eventually(arrives)


async def test_a_link_ends_with_its_time_and_is_nothing_to_strangers(world: World) -> None:
    link, _ = await _bought(world, download_days="1")
    token = link.rpartition("/")[2]
    assert (await _get(world, f"/downloads/{token[:-2]}xx")).status_code == 404
    await world.execute("UPDATE downloads SET expires_at = now() - interval '1 second'")
    over = await _get(world, link)
    assert over.status_code == 410
    assert "This download is over" in over.text


async def test_a_file_that_is_gone_costs_nothing(world: World) -> None:
    link, path = await _bought(world, download_limit="1")
    path.rename(path.with_suffix(".away"))
    for _ in range(2):
        assert (await _get(world, link)).status_code == 503
    path.with_suffix(".away").rename(path)
    assert (await _get(world, link)).status_code == 200


async def test_nothing_outside_the_folder_is_sold(world: World, tmp_path: Path) -> None:
    folder = world.settings.downloads_folder
    assert folder is not None
    secret = tmp_path / "secret.txt"
    secret.write_text("secret")
    (folder / "link.txt").symlink_to(secret)
    async with world.worker():
        for file, problem in {
            "../secret.txt": "is no path below DOWNLOADS_FOLDER",
            str(secret): "is no path below DOWNLOADS_FOLDER",
            "link.txt": "'link.txt' is not in DOWNLOADS_FOLDER",
            "missing.txt": "'missing.txt' is not in DOWNLOADS_FOLDER",
        }.items():
            session_id = await world.shop.buy({"fulfillment": "download", "download_files": file})
            stuck = await world.step_in(session_id, "action_required")
            assert problem in (stuck.error or "")
