"""Every status and sub-cause as a cassette: replayed offline, each comes to the finding it was planted for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ops_lib.diagnosis import replaying
from ops_lib.diagnosis.checks import judge, leading, standing_of
from ops_lib.mailbox.ews.transport import close_connections
from tests.support.leaks import found_in
from tests.support.planted import PLANTED
from tests.support.record_cassettes import FOLDER
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE

BY_NAME = {each.name: each for each in PLANTED}
LARGEST_BYTES = 60_000


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("http_proxy", "https_proxy", "PLANTED_SECRET", "SYNCOPS_NOW", "SYNCOPS_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)
    yield
    close_connections()


def test_there_is_a_cassette_for_everything_that_is_planted() -> None:
    """One file for each planted fault, none for anything else, each small enough to be read."""
    files = {each.stem: each.stat().st_size for each in FOLDER.glob("*.yaml")}
    assert set(files) == set(BY_NAME)
    assert max(files.values()) <= LARGEST_BYTES


@pytest.mark.req("T1", "T3", "T5")
@pytest.mark.parametrize("name", BY_NAME)
def test_a_cassette_replays_to_its_finding(name: str) -> None:
    """Status, sub-cause and the check to begin with are those that were planted, from the file alone."""
    planted = BY_NAME[name]
    facts = replaying.facts_of(FOLDER / f"{name}.yaml")
    stands, first = standing_of(facts), leading(judge(facts))
    assert stands is not None
    assert stands.status == planted.status
    assert (first.check if first is not None else "") == planted.leads
    assert first is None or first.sub_cause == planted.sub_cause
    assert not [each for each in facts.probes.values() if each.failure is not None and each.failure.error == "Defect"]


@pytest.mark.req("R9")
@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_cassette_holds_nobody(file: Path) -> None:
    """No address, name, subject or host of the sandbox's people is in a committed file, in any encoding."""
    people = [
        ALICE,
        BOB,
        CAROL,
        SERVICE,
        "d.dorn@example.test",
        "Dora Dorn",
        "Dentist",
        "Second tour",
        "planted-",
        "sandbox-ca.pem",
    ]
    assert found_in(file.read_bytes(), people) == []
    assert b"/tmp" not in file.read_bytes()  # a path is too short to be looked for in base64
    manifest = yaml.safe_load(file.read_text())["manifest"]
    assert manifest["replaced"]["address"] > 0
