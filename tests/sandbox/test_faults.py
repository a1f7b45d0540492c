"""Rules that make requests go wrong: what is accepted, what is refused and why, and which requests a rule hits."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ops_lib.errors import InputError
from ops_lib.sandbox.faults import DISCOVERY, TOKEN, Faults, read_rule
from ops_lib.sandbox.requests_log import RequestsLog

BUSY = {"status": 503}


def hits(rule: dict[str, Any], requests: int = 12) -> list[int]:
    """Numbers (from 1) of the requests that the rule hits out of so many equal ones."""
    faults = Faults()
    faults.add({"fault": BUSY, **rule})
    return [number for number in range(1, requests + 1) if faults.decide("GetItem", "alice@example.test")]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, list(range(1, 13))),
        ({"nth": 3}, [3]),
        ({"nth": [1, 4]}, [1, 4]),
        ({"every": 5}, [5, 10]),
        ({"times": 2}, [1, 2]),
        ({"after": 9}, [10, 11, 12]),
        ({"after": 2, "nth": 1}, [3]),
        ({"after": 1, "every": 4, "times": 2}, [5, 9]),
        ({"operation": "CreateItem"}, []),
        ({"operation": "GetItem", "nth": 12}, [12]),
        ({"mailbox": "bob@example.test"}, []),
        ({"mailbox": "ALICE@Example.test", "nth": 1}, [1]),
        ({"probability": 0}, []),
        ({"probability": 1, "times": 3}, [1, 2, 3]),
    ],
)
def test_which_requests(rule: dict[str, Any], expected: list[int]) -> None:
    """A rule hits exactly the requests its conditions name, counted from 1 after those it lets through."""
    assert hits(rule) == expected


def test_chance_can_be_repeated() -> None:
    """A rule with a probability hits about that share, and the same requests for the same seed."""
    first = hits({"probability": 0.3, "seed": 7}, 1000)
    assert first == hits({"probability": 0.3, "seed": 7}, 1000)
    assert first != hits({"probability": 0.3, "seed": 8}, 1000)
    assert 230 < len(first) < 370


def test_first_rule_decides_and_all_count() -> None:
    """The first rule that hits a request decides what happens; the others count it as seen."""
    faults = Faults()
    first = faults.add({"nth": 1, "fault": {"status": 500}})
    second = faults.add({"nth": 2, "fault": {"status": 503}})
    decided = [faults.decide("GetItem", "a@example.test") for _ in range(3)]
    assert [fault and fault.status for fault in decided] == [500, 503, None]
    rows = {row["id"]: (row["matched"], row["hits"]) for row in faults.rows()}
    assert rows == {first.id: (3, 1), second.id: (3, 1)}


def test_rules_are_taken_back() -> None:
    """One rule can be removed by its id, all can be cleared, and a removed id is not given out again."""
    faults = Faults()
    first, second = faults.add({"fault": BUSY}), faults.add({"fault": BUSY})
    assert faults.remove(first.id)
    assert not faults.remove(first.id)
    assert faults.clear() == 1
    assert faults.decide("GetItem", "") is None
    assert faults.add({"fault": BUSY}).id not in (first.id, second.id)


@pytest.mark.parametrize(
    ("rule", "subject", "said"),
    [
        ({}, "fault", "is missing"),
        ({"fault": {}}, "fault", "says nothing"),
        ({"fault": []}, "fault", "must be a JSON object"),
        ({"fault": {"delay_seconds": 0}}, "fault", "says nothing"),
        ({"falt": BUSY}, "falt", "Did you mean fault?"),
        ({"fault": {"stauts": 503}}, "fault.stauts", "Did you mean status?"),
        ({"fault": BUSY, "operation": "GetItm"}, "operation", "did you mean GetItem?"),
        ({"fault": BUSY, "operation": ["GetItem"]}, "operation", "no operation of EWS"),
        ({"fault": BUSY, "mailbox": "alice"}, "mailbox", "must be an email address"),
        ({"fault": BUSY, "nth": 0}, "nth", "whole number from 1"),
        ({"fault": BUSY, "nth": []}, "nth", "at least one"),
        ({"fault": BUSY, "nth": True}, "nth", "whole number"),
        ({"fault": BUSY, "every": 1.5}, "every", "whole number"),
        ({"fault": BUSY, "probability": 2}, "probability", "from 0 to 1"),
        ({"fault": BUSY, "seed": 1}, "seed", "means nothing alone"),
        ({"fault": {"status": 99}}, "fault.status", "from 200 to 599"),
        ({"fault": {"status": "503"}}, "fault.status", "whole number"),
        ({"fault": {"status": 503, "headers": {"a b": "c"}}}, "fault.headers", "cannot be the name"),
        ({"fault": {"status": 503, "headers": {"a": "b\r\nc: d"}}}, "fault.headers", "one line"),
        ({"fault": {"status": 503, "headers": {"Content-Length": "5"}}}, "fault.headers", "the server's own"),
        ({"fault": {"status": 503, "headers": {"a": 5}}}, "fault.headers", "one line"),
        ({"fault": {"soap_fault": "busy"}}, "fault.soap_fault", "response code"),
        ({"fault": {"response_code": "NoError"}}, "fault.response_code", "response code"),
        ({"fault": {"response_code": "ErrorNope"}}, "fault.response_code", "response code"),
        ({"fault": {"response_code": "ErrorItemNotFond"}}, "fault.response_code", "did you mean ErrorItemNotFound?"),
        ({"fault": {"soap_fault": "ErrorServerBussy"}}, "fault.soap_fault", "did you mean ErrorServerBusy?"),
        ({"fault": {"drop": "never"}}, "fault.drop", '"before" or "after"'),
        ({"fault": {"truncate": True}}, "fault.truncate", '"length" or "chunk"'),
        ({"fault": {"status": 503, "drop": "after"}}, "fault", "cannot both happen"),
        ({"fault": {"soap_fault": "ErrorServerBusy", "body": "x"}}, "fault", "cannot both happen"),
        ({"fault": {"back_off_milliseconds": 5, "status": 503}}, "back_off_milliseconds", "means nothing alone"),
        ({"fault": {"applied": True, "drop": "before"}}, "applied", "means nothing alone"),
        ({"fault": {"keep": 0.5, "status": 500}}, "keep", "means nothing alone"),
        ({"fault": {"drop": "before", "late_seconds": 1}}, "late_seconds", "cannot be late"),
        ({"fault": {"delay_seconds": -1}}, "delay_seconds", "from 0"),
        ({"operation": TOKEN, "fault": {"soap_fault": "ErrorServerBusy"}}, "fault", "is a request to Entra"),
        ({"operation": DISCOVERY, "fault": {"truncate": "length"}}, "fault", "Use only aadsts"),
    ],
)
def test_rules_that_cannot_be(rule: dict[str, Any], subject: str, said: str) -> None:
    """A rule that cannot be is refused with the field, the reason and the mend; nothing is put into force."""
    faults = Faults()
    with pytest.raises(InputError) as refused:
        faults.add(rule)
    assert subject in refused.value.subject
    assert said in str(refused.value)
    assert refused.value.fix
    assert faults.rows() == []


@pytest.mark.parametrize("document", [None, [], "rule", 5])
def test_only_objects_are_rules(document: Any) -> None:
    """What is no JSON object is refused as such."""
    with pytest.raises(InputError, match="must be a JSON object"):
        read_rule(document, "rule-1")


def documented_rules() -> list[dict[str, Any]]:
    """Every rule and every fault that the documentation shows."""
    text = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rules = [json.loads(rule) for rule in re.findall(r"""CONTROL/faults" -d '(.+?)'""", text)]
    cells = re.search(r"\| fault \|.*?\n\n", text, re.S)
    assert cells is not None
    return rules + [{"fault": json.loads(fault)} for fault in re.findall(r"`(\{.+?\})`", cells[0])]


def test_documented_rules_are_accepted() -> None:
    """Each rule that docs/sandbox.md shows can be put into force as it stands there."""
    rules = documented_rules()
    assert len(rules) >= 11
    faults = Faults()
    for rule in rules:
        faults.add(rule)


def test_a_code_of_entra_is_for_entra_only() -> None:
    """A rule with an AADSTS code and no operation hits every request to Entra and none to EWS; with an operation of EWS it cannot be."""
    faults = Faults()
    faults.add({"fault": {"aadsts": 53003}})
    assert faults.decide("GetItem", "alice@example.test") is None
    hit = [
        faults.decide(operation, "alice@example.test")
        for operation in ("Token", "Authorize", "DeviceCode", "OpenIdConfiguration")
    ]
    assert [fault and fault.aadsts for fault in hit] == [53003] * 4
    for wrong in ({"operation": "GetItem", "fault": {"aadsts": 53003}}, {"fault": {"aadsts": 1}}):
        with pytest.raises(InputError, match=r"aadsts"):
            faults.add(wrong)


def test_log_counts_by_operation_and_mailbox() -> None:
    """The log adds up requests, faults and bytes per operation and mailbox, and starts at nothing when cleared."""
    log = RequestsLog()
    for mailbox, times in (("alice@example.test", 3), ("bob@example.test", 1)):
        for _ in range(times):
            log.arrived("GetItem", mailbox, 100, faulted=mailbox.startswith("bob"))
            log.answered("GetItem", mailbox, 200, 1000)
    log.arrived("CreateItem", "alice@example.test", 50)
    drawn = log.document()
    assert drawn["total"] == 5
    assert drawn["operations"] == Counter(GetItem=4, CreateItem=1)
    assert drawn["mailboxes"]["alice@example.test"] == {"CreateItem": 1, "GetItem": 3}
    assert drawn["statuses"] == {"200": 4}
    assert (drawn["bytes_in"], drawn["bytes_out"]) == (450, 4000)
    assert {"operation": "GetItem", "mailbox": "bob@example.test", "requests": 1, "faulted": 1} | {
        "bytes_in": 100,
        "bytes_out": 1000,
    } in drawn["counts"]
    assert log.total("GetItem", "Alice@example.test") == 3
    log.clear()
    assert log.document()["total"] == 0
