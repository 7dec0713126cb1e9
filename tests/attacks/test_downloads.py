"""What a download's name may do: lead out of the folder, or end the header that it stands in."""

import os
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path

import httpx
import pytest
from sqlalchemy import insert

from adapters.download_folder import DownloadFolder
from database.questions import ask
from database.tables import downloads
from domain.downloads import split_files
from domain.links import Links
from domain.orders import Question
from tests.harness.paid_orders import record_order, record_shipments
from tests.harness.world import SIGNING_SECRET, World

IN_A_WEEK = datetime.now(UTC) + timedelta(days=7)


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "",
        "../secret.txt",
        "songs/../../secret.txt",
        "songs/./a.txt",
        "songs//a.txt",
        "/etc/passwd",
        "..\\secret.txt",
        "a\0.txt",
        "a\r\nSet-Cookie: x=1",
        "a\u202etxt.exe",
        "a" * 201,
    ],
)
def test_no_such_name_is_sold(name: str) -> None:
    with pytest.raises(ValueError, match="is no path below DOWNLOADS_FOLDER"):
        split_files(name)


def test_no_name_leads_out_of_the_folder_that_is_handed_out(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    (folder / "songs").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "downloads-old").mkdir()
    (tmp_path / "downloads-old" / "a.txt").write_text("old")
    (folder / "a.txt").write_text("a")
    (folder / "file.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "folder").symlink_to(tmp_path)
    (folder / "own.txt").symlink_to(folder / "a.txt")
    os.mkfifo(folder / "pipe")
    found = DownloadFolder(folder).find
    for name in (
        "../secret.txt",
        "songs/../../secret.txt",
        str(tmp_path / "secret.txt"),
        "../downloads-old/a.txt",
        "file.txt",
        "folder/secret.txt",
        "songs",
        ".",
        "pipe",
        "%2e%2e/secret.txt",
    ):
        assert found(name) is None
    assert found("a.txt") == found("own.txt") == folder / "a.txt"


@pytest.mark.parametrize(
    "path",
    ["../secret.txt", "%2e%2e%2fsecret.txt", "..%5csecret.txt", "%00", "%252e%252e%252fsecret.txt"],
)
async def test_no_path_stands_for_a_token(world: World, path: str) -> None:
    folder = world.settings.downloads_folder
    assert folder is not None
    (folder.parent / "secret.txt").write_text("secret")
    # As it stands: the client would resolve the dots by itself.
    url = httpx.URL(world.settings.public_url).copy_with(raw_path=f"/downloads/{path}".encode())
    answer = await world.api.get(url)
    assert answer.status_code == 404
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "name",
    [
        'a"; filename="b.exe',
        "a';b=c.txt",
        "naïve - 音楽.mp3",
        "100%25.txt",
        "<b>.html",
        "a;b,c.txt",
    ],
)
async def test_a_file_name_stays_within_its_header(world: World, name: str) -> None:
    folder = world.settings.downloads_folder
    assert folder is not None
    (folder / name).write_text("content")
    async with world.database.transaction() as connection:
        ref = await record_order(connection, "download", {})
        offered = {**ref.model_dump(), "file": name, "expires_at": IN_A_WEEK}
        await connection.execute(insert(downloads).values(offered))
    answer = await world.api.get(Links("", [SIGNING_SECRET]).download(ref, name, None))
    assert (answer.status_code, answer.text) == (200, "content")
    header = Message()
    header["Content-Disposition"] = answer.headers["Content-Disposition"]
    assert header.get_content_disposition() == "attachment"
    assert header.get_filename() == name


async def test_a_line_break_in_a_token_begins_no_header_of_the_redirect(world: World) -> None:
    [ref] = await record_shipments(world.database)
    async with world.database.transaction() as connection:
        await ask(connection, ref, Question.OUT_OF_STOCK, IN_A_WEEK)
    token = Links("", [SIGNING_SECRET]).answer(ref, Question.OUT_OF_STOCK).rpartition("=")[2]
    # Decoders of base64 skip what is none of its characters: such a token may be good.
    data = {"token": f"{token}\r\n:\r\n", "choice": "wait"}
    answer = await world.api.post("/answer", data=data)
    assert answer.status_code in {303, 404}
    assert "\n" not in "".join(answer.headers.values())
