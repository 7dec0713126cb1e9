"""What the README promises about the code."""

import re
from pathlib import Path

from api.events import handled_events
from workflows.fulfillment.registry import KINDS
from workflows.steps import Verdict

README = (Path(__file__).parent.parent.parent / "README.md").read_text()


def test_it_names_the_events_that_are_handled() -> None:
    named = set(re.findall(r"`((?:checkout\.session|refund|charge|radar)\.[a-z_.]+)`", README))
    assert named == set(handled_events())


def test_it_shows_how_to_sell_each_fulfillment_kind() -> None:
    shown = set(re.findall(r"\| `fulfillment` = `(\w+)`", README))
    assert shown == set(KINDS)


def test_it_explains_each_update() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", README, re.MULTILINE))
    assert {str(verdict) for verdict in Verdict} <= explained
