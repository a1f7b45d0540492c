"""The steps of the test email's notebook, on a small customer whose host sends email."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError, NotThere
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps.send_test_email import Steps
from ops_lib.workspace import Workspace
from tests.reports.conftest import customer
from tests.reports.customer import ALICE, BOB, Customer

__all__ = ["customer"]

STEM, TESS, NOBODY = "send_test_email", "Tess Test", "Nora Noaddress"


@pytest.fixture
def run(customer: Customer) -> Steps:
    """The notebook after its first call: alice can send, bob cannot."""
    with customer.workspace.database.begin() as connection:
        directory, accounts = Directory(connection), Accounts(connection)
        directory.add_individual(TESS, kind="prospect", email="tess@example.test", community_name="Elm Court")
        directory.add_individual(NOBODY, kind="prospect", community_name="Elm Court")
        accounts.enable(accounts.one(ALICE), send_email=True)
        accounts.enable(accounts.one(BOB), send_email=False)
    return Steps(STEM, Opened(customer.workspace))


def sent(customer: Customer) -> int:
    return customer.sandbox.requests.total("SendItem")


def cell(table: object, column: str) -> str:
    assert isinstance(table, pd.DataFrame)
    return str(table.iloc[0][column])


@pytest.mark.req("R6", "E1")
def test_without_apply_it_is_only_looked_at(run: Steps, customer: Customer, capsys: pytest.CaptureFixture[str]) -> None:
    """Preview and warnings, then *Not sent*; no request has reached the server and nothing is on record."""
    run.write(user=ALICE, to=TESS, subject="Test", text="Hello")
    assert "Tess Test <tess@example.test>" in run.preview().to_csv()
    assert "No warnings" in str(run.warnings())
    assert "Not sent" in run.send(apply=False).text
    assert "nothing was sent" in str(run.record())
    run.finish(run.outcome())
    assert json.loads(capsys.readouterr().out)["sent"] == "not asked for"
    assert sent(customer) == 0


@pytest.mark.req("R6", "E2", "E7")
def test_it_is_sent_once_and_put_on_record(run: Steps, customer: Customer) -> None:
    """The cell run twice sends once; the record is one Completed activity; the account's standing for email is well; another text is another message."""
    run.write(user=ALICE, to=TESS, subject="Test", text="Hello")
    assert "the server took it" in run.send(apply=True).text
    assert "asked for before" in run.send(apply=True).text
    assert (cell(run.record(), "status"), cell(run.record(), "note")) == ("Completed", "Hello")
    assert cell(run.standing(), "verdict") == "well"
    assert (run.outcome(), run.figures()["on_record"], sent(customer)) == ("ok", 1, 1)
    run.write(user=ALICE, to=TESS, subject="Test", text="Hello again")
    run.send(apply=True)
    assert sent(customer) == 2


@pytest.mark.req("R6", "E3")
def test_a_refused_one_can_be_sent_again_once_it_is_mended(run: Steps, customer: Customer) -> None:
    """The reason and the code are shown, the record is Cancelled; after the mend the same message goes out."""
    rule = customer.sandbox.faults.add({"operation": "SendItem", "fault": {"response_code": "ErrorSendAsDenied"}})
    run.write(user=ALICE, to=TESS, subject="Test", text="Hello")
    assert "ErrorSendAsDenied" in run.send(apply=True).text
    assert cell(run.record(), "status") == "Cancelled"
    assert run.outcome() == "findings"
    customer.sandbox.faults.remove(rule.id)
    assert "the server took it" in run.send(apply=True).text
    assert run.outcome() == "ok"


@pytest.mark.req("R6", "E1", "E4")
def test_sending_that_is_not_set_up_is_said_before(run: Steps) -> None:
    """A warning with the mend, and `findings`; sent all the same, it is put on record only."""
    table = run.who_can_send()
    assert (cell(table, "can_send"), cell(table, "cannot_send")) == ("1", "1")
    run.write(user=BOB, to=TESS, subject="Test", text="Hello")
    assert "not set up" in cell(run.warnings(), "warning")
    assert run.outcome() == "findings"
    assert "only put on record" in run.send(apply=True).text


@pytest.mark.parametrize(
    ("user", "to", "said"),
    [
        ("", TESS, "who writes"),
        (ALICE, "", "to whom"),
        (ALICE, NOBODY, "no email address"),
        (ALICE, "Nobody Atall", "Nobody Atall"),
        ("x@example.test", TESS, r"x@example\.test"),
    ],
)
def test_a_message_that_cannot_be_is_refused_before_it_is_sent(run: Steps, user: str, to: str, said: str) -> None:
    """Who, to whom, an address that is missing, names that nobody bears: each by its name, and the form says it beside the field or below."""
    form = run.write(user=user, to=to, subject="Test", text="Hello")
    assert form.faults()
    for step in (run.preview, lambda: run.send(apply=True)):
        with pytest.raises((InputError, NotThere), match=said):
            step()


def test_an_empty_workspace_leads_on_to_the_onboarding(tmp_path: Path) -> None:
    """No host: nobody can send; cells out of order are answered with the right order."""
    with closing(Workspace.create(tmp_path / "empty")) as workspace:
        run = Steps(STEM, Opened(workspace))
        assert "onboard_host" in str(run.who_can_send())
        with pytest.raises(InputError, match=r"run\.write"):
            run.preview()
