"""The onboarding by hand: a person at JupyterLab fills in the form, presses the buttons, and reads the result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_lib.runbook import demo
from ops_lib.sync.mapping import instant_text
from tests.support.browser import browser, page
from tests.support.lab import Lab, lab

__all__ = ["browser", "page"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Demo]:
    """A customer with an Exchange organisation and a CRM, and nothing that joins them: to the notebook a workspace like any other."""
    made = demo.make(tmp_path_factory.mktemp("customer") / "demo", onboarded=False)
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(customer: demo.Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with the notebooks set to that workspace."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "home").mkdir()
    given = {"workspace": str(customer.workspace.path)}
    environment = {
        "SYNCOPS_NOW": instant_text(customer.clock()),
        "SYNCOPS_VAULT_KEY_FILE": str(folder / "vault.key"),
    }
    with lab(folder, {"onboard_host": given}, environment) as running:
        yield running


@pytest.mark.req("R1")
@pytest.mark.req("R8")
@pytest.mark.req("R9")
def test_a_host_is_connected_by_who_reads_only_the_notebook(
    browser: Any, page: Any, server: Lab, customer: demo.Demo, tmp_path: Path
) -> None:
    """Every cell as it comes; what is wrong is said beside its field; three buttons write; at the end the users are in step, and the password is nowhere."""
    page.set_default_timeout(60_000)
    page.set_viewport_size({"width": 1300, "height": 1000})
    elsewhere: list[str] = []
    page.on("request", lambda request: elsewhere.append(request.url) if _is_elsewhere(request.url) else None)
    notebook = server.open(page, "onboard_host")
    notebook.run_from()
    assert "is not saved yet" in notebook.output("run.save_host")
    password = customer.sandbox.residents.service.password
    notebook.pick("Exchange version", "2019")
    notebook.pick("signs in by", "basic")
    notebook.fill("EWS URL", "https://mail.customer.example/owa")
    page.locator(".syncops-fault", has_text="does not end in .asmx").wait_for()
    page.screenshot(path=str(tmp_path / "fault.png"))
    notebook.fill("EWS URL", customer.sandbox.ews_url_https)
    notebook.fill("service user", customer.sandbox.residents.service.address)
    notebook.fill("password or secret", password)
    notebook.fill("CA file", str(customer.workspace.path / demo.AUTHORITY_FILE))
    page.locator(".syncops-fault").wait_for(state="detached")
    notebook.press("Write: save this host")
    assert page.locator("input[type=password]").input_value() == ""
    notebook.run_from("run.save_host")
    assert "in the workspace's vault" in notebook.output("run.save_host")
    assert "Nobody has to sign in" in notebook.output("run.sign_in")
    assert "fail" not in notebook.output("run.try_host")
    assert "No user is on this host yet" in notebook.output("run.add_users")
    users = [user.email for user in customer.population.users[:2]]
    notebook.pick("users", *users)
    notebook.press("Write: add accounts")
    notebook.run_from("run.add_users")
    assert all(each in notebook.output("run.add_users") for each in users)
    notebook.press("Write: run the first cycle of 2 accounts")
    notebook.run_from("run.evidence")
    assert notebook.output("run.evidence").count("Syncing") == 2
    assert '"outcome": "ok"' in notebook.output("run.finish")
    page.screenshot(path=str(tmp_path / "done.png"))
    assert page.locator("table.dataTable").count() > 3  # tables that can be sorted and searched
    assert elsewhere == []
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_timeout(1000)
    written = [path for folder in (server.folder.parent, customer.workspace.path) for path in folder.rglob("*")]
    holding = [path for path in written if path.is_file() and password.encode() in path.read_bytes()]
    assert [path.name for path in holding] == [demo.PASSWORD_FILE]  # where the customer's administrator had left it


def _is_elsewhere(url: str) -> bool:
    """Whether a request leaves this machine."""
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:"))
