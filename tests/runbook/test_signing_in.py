"""Signing in inside a notebook: the link and the address to paste, or the code."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_lib.access.sign_ins import SignInStates
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.runbook.signing_in import sign_in_form
from ops_lib.sandbox.server import Sandbox
from tests.support.browser_forms import Person
from tests.support.sandbox import ALICE, BOB
from tests.support.signing_in import Office

Make = Callable[..., Office]


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    offices: list[Office] = []

    def made(**entered: Any) -> Office:
        offices.append(Office(sandbox, tmp_path / "w", monkeypatch, **entered))
        return offices[-1]

    yield made
    for office in offices:
        office.workspace.close()
    close_connections()


class Form:
    """The widgets as a person finds them."""

    def __init__(self, office: Office) -> None:
        with office.workspace.database.read() as connection:
            waiting = SignInStates(connection).waiting()
        self.who, self.begin, self._told, self._paste = sign_in_form(office.workspace, waiting).children
        self.address, self.finish = self._paste.children

    @property
    def told(self) -> str:
        """What it says, as text."""
        return html.unescape(re.sub(r"<[^>]+>", "", self._told.value))

    @property
    def link(self) -> str:
        """Where it leads."""
        return html.unescape(re.search(r'href="([^"]+)"', self._told.value)[1])  # type: ignore[index]

    @property
    def asks_for_an_address(self) -> bool:
        return self._paste.layout.display != "none"


@pytest.mark.req("A4")
@pytest.mark.req("R1")
def test_the_link_leads_to_the_sign_in_and_the_address_finishes_it(make: Make) -> None:
    """Nothing is asked of the directory before the button; what was pasted is wiped, and the account is signed in."""
    office = make()
    alice = office.add(ALICE)
    form = Form(office)
    assert not form.asks_for_an_address
    form.begin.click()
    assert form.asks_for_an_address
    form.address.value = office.at_the_pages(form.link, ALICE).address
    form.finish.click()
    assert form.told == f"✓ signed in as {ALICE} for {ALICE}"
    assert form.address.value == ""
    assert not form.asks_for_an_address
    assert office.state(alice).state == "signed-in"


def test_another_persons_sign_in_is_refused_where_it_was_done(make: Make) -> None:
    """Bob at Alice's link: nothing is kept, and the form says whose it must be; so it does for what is no address."""
    office = make()
    alice = office.add(ALICE)
    form = Form(office)
    form.begin.click()
    form.address.value = "I am signed in now"
    form.finish.click()
    assert form.told.startswith("✗ ")
    assert "copy the whole address line" in form.told
    form.address.value = office.at_the_pages(
        form.link if "href" in form._told.value else office.begin(alice).url, BOB
    ).address
    form.finish.click()
    assert f"{BOB} signed in, and the account is of {ALICE}" in form.told
    assert form.address.value == ""
    assert office.state(alice).state != "signed-in"


@pytest.mark.req("A8")
def test_a_code_is_shown_and_waited_for(make: Make, sandbox: Sandbox) -> None:
    """The notebook stays usable meanwhile; when the code was entered anywhere, the form says so."""
    office = make(auth="oauth-device", client_id=sandbox.public_app.client_id, secret="")
    alice = office.add(ALICE)
    form = Form(office)
    form.begin.click()
    _until(lambda: "This waits for it" in form.told)
    (code,) = re.findall(r"enter (\S+), and", form.told)
    page = Person(sandbox).open(form.link).send(user_code=code)
    page = page.send(username=ALICE, password=sandbox.passwords[ALICE]).send(answer="accept")
    if page.title != f"You have signed in to {sandbox.public_app.name}":
        page.send(answer="accept")

    def is_told() -> bool:
        sandbox.clock.advance(6)  # the directory wants to be asked no more often
        return form.told.startswith("✓ signed in")

    _until(is_told)
    assert office.state(alice).state == "signed-in"


def test_a_directory_that_cannot_be_reached_is_one_sentence(make: Make) -> None:
    """Where the button is, without a traceback; markup in it is text."""
    office = make(authority="https://127.0.0.1:9")
    office.add(ALICE)
    form = Form(office)
    form.begin.click()
    assert form.told.startswith("✗ ")
    assert "Traceback" not in form.told
    assert not form.asks_for_an_address


def _until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
