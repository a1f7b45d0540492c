"""`syncops signin` as a person does it: the command in one window, a real browser in the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE
from tests.support.signing_in import Office

pytestmark = pytest.mark.slow

Make = Callable[..., Office]


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    offices: list[Office] = []

    def made(**entered: Any) -> Office:
        offices.append(Office(sandbox, tmp_path / "w", monkeypatch, **entered))
        offices[-1].add(ALICE)
        return offices[-1]

    yield made
    for office in offices:
        office.workspace.close()
    close_connections()


def command(office: Office, *arguments: str) -> subprocess.Popen[str]:
    """The command as a process of its own, with the environment of this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "ops_lib.cli", "--workspace", str(office.workspace.path), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"BROWSER": "true"},  # nothing opens by itself
    )


def sign_in(page: Any, office: Office, url: str) -> None:
    page.goto(url)
    page.get_by_label("Email").fill(ALICE)
    page.get_by_label("Password").fill(office.sandbox.passwords[ALICE])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Accept").click()


@pytest.mark.req("A4")
def test_the_browser_comes_back_to_the_command(make: Make, page: Any) -> None:
    """The command waits on this machine; the person signs in, the browser says that it is done, and so does the command."""
    office = make()
    waiting = command(office, "signin", ALICE, "--listen", "0")
    try:
        assert waiting.stderr is not None
        url = next(line.strip() for line in waiting.stderr if line.startswith("https://"))
        sign_in(page, office, url)
        page.get_by_role("heading", name="Signed in").wait_for()
        stdout, stderr = waiting.communicate(timeout=30)
    finally:
        waiting.kill()
    assert (waiting.returncode, stdout) == (0, f"signed in as {ALICE} for {ALICE}.\n"), stderr


@pytest.mark.req("A4")
def test_the_address_is_pasted_back(make: Make, page: Any) -> None:
    """The browser ends at the CRM's own address, which shows nothing here; its address line, pasted, finishes the sign-in."""
    redirect = "https://crm.example.test/signin/outlook"
    office = make(redirect_uri=redirect)
    page.route(f"{redirect}**", lambda route: route.fulfill(status=404, body="nothing here"))
    waiting = command(office, "signin", ALICE, "--paste")
    try:
        assert waiting.stderr is not None
        url = next(line.strip() for line in waiting.stderr if line.startswith("https://"))
        sign_in(page, office, url)
        page.get_by_text("nothing here").wait_for()
        assert urlsplit(page.url).query
        stdout, stderr = waiting.communicate(page.url + "\n", timeout=30)
    finally:
        waiting.kill()
    assert (waiting.returncode, stdout) == (0, f"signed in as {ALICE} for {ALICE}.\n"), stderr
    assert urlsplit(page.url).query not in stdout + stderr
