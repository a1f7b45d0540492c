"""Recorded traffic of a server that is not Microsoft's, from ../shared: read for tests, or played back."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from requests.structures import CaseInsensitiveDict

from ops_lib.errors import MailboxError
from ops_lib.mailbox.ews import answers, failures
from ops_lib.mailbox.ews.answers import Answer, Message
from ops_lib.mailbox.ews.items import ITEM_ELEMENTS, item_of
from ops_lib.mailbox.ews.transport import is_soap
from ops_lib.model import AllDay, Item, ItemType, Kind
from tests.mailbox.conftest import SHARED

GROMOX = SHARED / "wire" / "gromox"
EXPECTED = Path(__file__).parent / "expected"


@dataclass(frozen=True)
class Interaction:
    """One recorded request and its answer."""

    operation: str
    request: str
    status: int
    headers: CaseInsensitiveDict[str]
    body: bytes


@cache
def load(name: str) -> tuple[Interaction, ...]:
    """The interactions of a cassette; skips the test where the recordings are not beside the repository."""
    path = GROMOX / f"{name}.yaml"
    if not path.exists():
        pytest.skip("the recorded traffic is not beside the repository (../shared/wire/gromox)")
    found = []
    for recorded in yaml.load(path.read_text(), Loader=yaml.CSafeLoader)["interactions"]:
        request = recorded["request"].get("body") or ""
        operation = re.search(r":?Body[^>]*>\s*<(?:\w+:)?(\w+)", request)
        body = recorded["response"]["body"]["string"]
        found.append(
            Interaction(
                operation=operation.group(1) if operation else "?",
                request=request,
                status=recorded["response"]["status"]["code"],
                headers=CaseInsensitiveDict(
                    {name: values[0] for name, values in recorded["response"]["headers"].items()}
                ),
                body=body.encode() if isinstance(body, str) else body,
            )
        )
    return tuple(found)


def messages(interaction: Interaction) -> list[Message]:
    """The response messages as the mailbox reads them. Raises what the mailbox would raise."""
    is_answer = interaction.status == 200 or (interaction.status in (400, 500, 503) and is_soap(interaction.body))
    if not is_answer:
        raise failures.of_status(interaction.status, interaction.headers, interaction.body, subject="x", auth="basic")
    return answers.messages(Answer(interaction.status, interaction.headers, interaction.body), "x")


def outcome(interaction: Interaction) -> str:
    """What an interaction comes to, in a line: ``GetItem: ok ×2, ItemGone ErrorItemNotFound``."""
    try:
        found = [
            "ok" if message.is_success else _named(message.error("x", about_item=True))
            for message in messages(interaction)
        ]
    except MailboxError as error:
        return f"{interaction.operation}: raises {_named(error)}"
    counted = Counter(found)
    return f"{interaction.operation}: " + ", ".join(
        f"{one} ×{many}" if many > 1 else one for one, many in counted.items()
    )


def _named(error: MailboxError) -> str:
    return f"{type(error).__name__} {error.response_code}"


def items(interaction: Interaction) -> list[Item]:
    """Every item of an answer that says what or when it is, in its order; none where the answer is an error."""
    try:
        found = messages(interaction)
    except MailboxError:
        return []
    elements = [
        element for message in found for element in message.element.iter() if answers.name_of(element) in ITEM_ELEMENTS
    ]
    read = [item_of(element, "x") for element in elements if answers.child(element, "ItemId") is not None]
    return [item for item in read if item.subject or item.when]


def in_a_line(item: Item) -> str:
    """An item's content in a line, as the tables of expected values write it."""
    when = item.when
    if when is None:
        words = ["no time"]
    elif isinstance(when, AllDay):
        words = [f"{when.start} to {when.end}"]
    else:
        words = [f"{when.start:%Y-%m-%d %H:%M} to {when.end:%Y-%m-%d %H:%M}"]
    words += [item.item_type.value] if item.item_type is not ItemType.SINGLE else []
    words += ["task"] if item.kind is Kind.TASK else []
    words += ["complete"] if item.is_complete else []
    words += ["private"] if item.is_private else []
    words += ["cancelled"] if item.is_cancelled else []
    words += [f"was {item.original_start:%Y-%m-%d %H:%M}"] if item.original_start else []
    words += [f"at {item.location}"] if item.location else []
    words += [f"by {item.organizer}"] if item.organizer else []
    words += [f"modified {item.last_modified:%H:%M:%S.%f}"] if item.last_modified else []
    words += [f"odd: {oddity}" for oddity in item.oddities]
    return f"{item.subject} | {', '.join(words)}"


def deleted(interaction: Interaction) -> int:
    """How many items a SyncFolderItems answer calls deleted."""
    return sum(
        answers.name_of(element) == "Delete" for message in messages(interaction) for element in message.element.iter()
    )


def write_subset(name: str, numbers: tuple[int, ...], path: Path) -> Path:
    """A cassette of only these interactions (from 1), to be played to a client that asks only for these."""
    load(name)
    document: dict[str, Any] = yaml.load((GROMOX / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
    document["interactions"] = [document["interactions"][number - 1] for number in numbers]
    target = path / f"{name}.yaml"
    target.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, allow_unicode=True))
    return target
