"""Every recorded answer of a server that is not Microsoft's, read to the right values or the right error."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
import yaml
from lxml import etree

from ops_lib.errors import MailboxError
from ops_lib.model import AllDay, Timed
from tests.mailbox import cassettes
from tests.mailbox.cassettes import EXPECTED, GROMOX
from tests.mailbox.stub import TYPES

OUTCOMES: dict[str, list[str]] = yaml.safe_load((EXPECTED / "gromox_outcomes.yaml").read_text())
ITEMS: dict[str, dict[int, list[Any]] | None] = yaml.safe_load((EXPECTED / "gromox_items.yaml").read_text())


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_answer_comes_to_its_outcome(name: str) -> None:
    """Each interaction of a recording is a success per item, or the error its code means."""
    assert [cassettes.outcome(interaction) for interaction in cassettes.load(name)] == OUTCOMES[name]


def test_no_recording_is_left_out() -> None:
    """The table of outcomes names every recording there is."""
    if not GROMOX.exists():
        pytest.skip("the recorded traffic is not beside the repository (../shared/wire/gromox)")
    assert {path.stem for path in GROMOX.glob("*.yaml")} == set(OUTCOMES)


def _documented_codes() -> dict[str, Counter[str]]:
    """What the recordings' own README says of the codes in each: written by others than this reader."""
    table: dict[str, Counter[str]] = {}
    for line in (GROMOX / "README.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and cells[0].strip("`") in OUTCOMES:
            # HTTP 500 stands beside the fault it carries; the statuses without SOAP are 401, 405 and 400.
            pairs = re.findall(r"(?:`([\w:]+)`|HTTP (4\d\d))(?: \(fault\))?(?: ×(\d+))?", cells[2])
            table[cells[0].strip("`")] = Counter()
            for code, status, many in pairs:
                table[cells[0].strip("`")][code or f"HTTP {status}"] += int(many or 1)
    return table


def test_the_codes_are_those_the_recordings_document() -> None:
    """Counted over a recording, the codes we read are those its README names."""
    if not GROMOX.exists():
        pytest.skip("the recorded traffic is not beside the repository (../shared/wire/gromox)")
    documented = _documented_codes()
    assert len(documented) == len(OUTCOMES)
    counts_delegates_twice = {
        "add_delegate_editor"
    }  # the README counts the code of the answer and of each delegate in it
    for name in set(OUTCOMES) - counts_delegates_twice:
        read: Counter[str] = Counter()
        for interaction in cassettes.load(name):
            try:
                read.update(message.response_code for message in cassettes.messages(interaction))
            except MailboxError as error:
                read[error.response_code] += 1
        assert read == documented[name], name


@pytest.mark.parametrize("name", ITEMS)
def test_the_items_are_read_to_their_values(name: str) -> None:
    """Subject, time, kind, state and place of the items that matter most, exactly."""
    expected = ITEMS[name] or {}
    for number, interaction in enumerate(cassettes.load(name), 1):
        lines: list[str] = [cassettes.in_a_line(item) for item in cassettes.items(interaction)]
        if interaction.operation == "SyncFolderItems" and cassettes.deleted(interaction):
            lines.insert(0, f"{cassettes.deleted(interaction)} deleted")
        assert lines == expected.get(number, []), number


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_time_of_every_recording_is_read(name: str) -> None:
    """Wherever an answer has a start, an end, a due date or a time of change, it is read, to the second or the day."""
    for interaction in cassettes.load(name):
        if b"Envelope" not in interaction.body or interaction.operation == "GetStreamingEvents":
            continue
        raw = [
            element
            for element in etree.fromstring(interaction.body).iter(f"{{{TYPES}}}CalendarItem", f"{{{TYPES}}}Task")
            if element.findtext(f"{{{TYPES}}}Subject") or element.find(f"{{{TYPES}}}Start") is not None
        ]
        read = cassettes.items(interaction)
        assert len(raw) == len(read)
        for element, item in zip(raw, read, strict=True):
            said = {part.tag.rpartition("}")[2]: part.text or "" for part in element}
            if isinstance(item.when, Timed):
                assert said["Start"][:19] == f"{item.when.start:%Y-%m-%dT%H:%M:%S}"
                assert said.get("End", said["Start"])[:19] == f"{item.when.end:%Y-%m-%dT%H:%M:%S}"
                assert said.get("IsAllDayEvent", "false") == "false"
            elif isinstance(item.when, AllDay):
                assert said.get("IsAllDayEvent") == "true" or said["DueDate"][:10] == item.when.start.isoformat()
            else:
                assert "Start" not in said
                assert "DueDate" not in said
            if "LastModifiedTime" in said:
                assert item.last_modified is not None
                assert said["LastModifiedTime"][:19] == f"{item.last_modified:%Y-%m-%dT%H:%M:%S}"
