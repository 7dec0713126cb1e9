"""What products' metadata says in the Temporal Web UI, which renders Markdown, is text only."""

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from temporalio.api.sdk.v1 import WorkflowMetadata

from domain.markdown import as_code, as_text
from tests.harness.world import World

HOSTILE = (
    "[Refund it here](https://thief.example/) <b>x</b> <https://thief.example/>"
    " ![x](https://thief.example/x.png) **x** ~~x~~ &lt; a|b \\[x](https://thief.example/) `x`"
)
OURS = {"table", "thead", "tbody", "tr", "th", "td", "paragraph", "strong", "inline"}
OURS |= {"code_inline", "text", "text_special"}


def _rendered(markdown: str) -> list[Token]:
    """All that a renderer of GitHub's Markdown makes of a text, raw HTML included."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    blocks = parser.parse(markdown)
    return [token for block in blocks for token in (block, *(block.children or ()))]


def _kinds(tokens: list[Token]) -> set[str]:
    return {token.type.removesuffix("_open").removesuffix("_close") for token in tokens}


def _text(tokens: list[Token]) -> str:
    return "".join(token.content for token in tokens if token.type in ("text", "code_inline"))


def test_the_renderer_would_make_more_of_it() -> None:
    assert _kinds(_rendered(HOSTILE)) >= {"link", "html_inline", "image", "strong", "s"}


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\n\n", "\u2028"])
def test_a_text_stays_itself_on_one_line(line_break: str) -> None:
    tokens = _rendered(f"**`x`: {as_text(f'{HOSTILE}{line_break}# Paid')}**")
    assert _kinds(tokens) == {"paragraph", "inline", "strong", "code_inline", "text"}
    assert _text(tokens) == f"x: {HOSTILE} # Paid"


def test_a_name_stays_in_its_cell_of_a_table() -> None:
    rows = ["| Step | State |", "|---|---|", f"| {as_code(f'{HOSTILE}{chr(10)}| forged |')} | x |"]
    tokens = _rendered("\n".join(rows))
    assert _kinds(tokens) <= OURS
    assert [token.type for token in tokens].count("td_open") == 2


@pytest.mark.parametrize(
    "metadata",
    [
        {"fulfillment": f"{HOSTILE}\n\n# It is paid, send `retry`"},
        {"fulfillment": "download", "download_files": f"../{HOSTILE}"},
    ],
    ids=["kind", "parameter"],
)
async def test_a_product_puts_no_link_into_the_web_ui(
    world: World, metadata: dict[str, str]
) -> None:
    async with world.worker():
        session_id = await world.shop.buy(metadata)
        await world.step_in(session_id, "action_required")
        shown: WorkflowMetadata = await world.workflow(session_id).query(
            "__temporal_workflow_metadata", result_type=WorkflowMetadata
        )
        history = await world.workflow(session_id).fetch_history()
    tokens = _rendered(shown.current_details)
    assert "Refund it here" in _text(tokens)
    assert _kinds(tokens) <= OURS
    stored = [
        each.user_metadata.summary for each in history.events if each.HasField("user_metadata")
    ]
    summaries = await world.client.data_converter.decode([each for each in stored if each.data])
    assert summaries
    for summary in summaries:
        assert _kinds(_rendered(summary)) <= OURS
