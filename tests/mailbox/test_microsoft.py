"""Microsoft's own examples of answers, read to the right values or the right error."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml
from lxml import etree

from ops_lib.errors import MailboxError
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.ews.answers import Answer, Message
from ops_lib.mailbox.ews.items import ITEM_ELEMENTS, item_of
from ops_lib.model import Item, Timed
from tests.mailbox.cassettes import EXPECTED
from tests.mailbox.conftest import SHARED
from tests.mailbox.stub import SOAP

MICROSOFT = SHARED / "wire" / "microsoft"
OUTCOMES: dict[str, str] = yaml.safe_load((EXPECTED / "microsoft_outcomes.yaml").read_text())


def read(name: str) -> list[Message]:
    path = MICROSOFT / f"{name}.xml"
    if not path.exists():
        pytest.skip("Microsoft's examples are not beside the repository (../shared/wire/microsoft)")
    return answers.messages(Answer(200, {}, path.read_bytes()), "x")


@pytest.mark.parametrize("name", OUTCOMES)
def test_each_example_comes_to_its_outcome(name: str) -> None:
    """Each example is a success per message, or the error its code means."""
    try:
        found = [
            "ok" if message.is_success else f"{type(error).__name__} {error.response_code}"
            for message in read(name)
            for error in [message.error("x", about_item=True)]
        ]
    except MailboxError as error:
        found = [f"raises {type(error).__name__} {error.response_code}"]
    assert ", ".join(found) == OUTCOMES[name]


def test_no_valid_example_is_left_out(schema: etree.XMLSchema) -> None:
    """Every answer among the examples that the schema calls valid is in the table."""
    if not MICROSOFT.exists():
        pytest.skip("Microsoft's examples are not beside the repository (../shared/wire/microsoft)")
    valid = set()
    for path in MICROSOFT.glob("*.response.xml"):
        body = etree.parse(path).getroot().find(f"{{{SOAP}}}Body")
        if body is not None and schema.validate(body[0]):
            valid.add(path.name.removesuffix(".xml"))
    assert len(valid) > 50
    assert valid <= set(OUTCOMES)


def items(name: str) -> list[Item]:
    return [
        item_of(element, "x")
        for message in read(name)
        for element in message.element.iter()
        if answers.name_of(element) in ITEM_ELEMENTS
    ]


def test_the_values_of_the_examples() -> None:
    """Ids, subjects, times and states are those printed in the documentation."""
    [task] = items("getitem-operation-task-2.response")
    assert (task.item_id, task.change_key, task.subject) == ("AAAtAEA=", "EwAAAB", "Buy new shoes")
    assert (task.when, task.is_complete, task.body, task.body_is_html, task.oddities) == (None, False, "", False, ())
    [event] = items("getitem-operation-calendar-item-2.response")
    assert (event.item_id, event.change_key, event.when) == ("ASUAd", "otlIqB==", None)
    [created] = items("createitem-operation-task-2.response")
    assert created.item_id == "AAAtAE="


def test_an_event_of_the_documentation_is_read_whole() -> None:
    """The documentation's calendar item: ids, instants, organizer; meetings inside it are not taken for it."""
    [event] = items("getitem-operation-calendar-item-3.response")
    assert (event.item_id, event.change_key, event.organizer, event.oddities) == ("ASUAdTB", "otlIqBwrt==", "Bob", ())
    assert event.when == Timed(datetime(2006, 6, 16, 0, 30, tzinfo=UTC), datetime(2006, 6, 16, 1, 0, tzinfo=UTC))
    whole, *adjacent = items("getitem-operation-calendar-item-4.response")
    assert whole.when == event.when
    assert len(adjacent) == 2
