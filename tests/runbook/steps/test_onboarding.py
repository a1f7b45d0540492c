"""The steps of the onboarding notebooks, on a real workspace: nothing is written unasked, and nothing secret stays anywhere but in the vault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError, NotThere
from ops_lib.runbook.session import Opened
from ops_lib.runbook.steps import onboard_host, onboard_users
from ops_lib.workspace import Workspace

SECRET = "correct horse battery staple"
GIVEN: dict[str, Any] = {
    "host": "Exchange", "url": "https://mail.customer.example/EWS/Exchange.asmx", "version": "2019", "auth": "basic", "access": "impersonation",
    "community": "all", "service_user": "svc@customer.example", "credential_env": "", "tenant_id": "", "client_id": "", "ca_bundle": "",
    "all_day_tasks": False, "send_email": True,
}  # fmt: skip
GUIDS = {"tenant_id": "11111111-1111-4111-8111-111111111111", "client_id": "22222222-2222-4222-8222-222222222222"}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with two users, and a vault key of its own."""
    monkeypatch.setenv("SYNCOPS_VAULT_KEY_FILE", str(tmp_path / "vault.key"))
    made = Workspace.create(tmp_path / "w")
    with made.database.begin() as connection:
        directory = Directory(connection)
        directory.add_community("Maple", time_zone="America/New_York")
        for name in ("alice", "bob"):
            directory.add_user(f"{name}@customer.example", name.title(), community_names=["Maple"])
    return made


@pytest.fixture
def run(workspace: Workspace) -> onboard_host.Steps:
    """The host's notebook after its first call."""
    return onboard_host.Steps("onboard_host", Opened(workspace))


def _enter(run: onboard_host.Steps, *, typed: str = "", **changed: Any) -> Any:
    """The form with these values, as if a person had typed the secret."""
    form = run.host_form(**{**GIVEN, **changed})
    if typed:
        form.fields = tuple(
            onboard_host.Field(each.name, each.label, typed, secret=True) if each.secret else each
            for each in form.fields
        )
    return form


def _hosts(workspace: Workspace) -> list[Any]:
    with workspace.database.read() as connection:
        return Hosts(connection).all()


def test_looking_says_what_to_do_first(run: onboard_host.Steps) -> None:
    """What is there is counted; what is missing has its command."""
    table = run.look().set_index("what")
    assert table.loc["CRM users", "there_are"] == 2
    assert table.loc["hosts", "to_do"] == "the next step"


def test_nothing_is_saved_unasked(run: onboard_host.Steps, workspace: Workspace) -> None:
    """Without apply and without a click the host stays unsaved, and every later step says what to do first."""
    _enter(run, typed=SECRET)
    assert "is not saved yet" in repr(run.save_host())
    assert _hosts(workspace) == []
    for step in (
        run.sign_in,
        run.try_host,
        lambda: run.users_form(""),
        run.permissions,
        run.dry_run,
        run.first_cycle,
        run.evidence,
        run.outcome,
    ):
        with pytest.raises(InputError, match="the host Exchange is not saved yet"):
            step()


def test_the_form_says_what_is_wrong_before_anything_is_saved(run: onboard_host.Steps, workspace: Workspace) -> None:
    """The rules of `host add`, also those that concern several fields; judging leaves nothing behind."""
    table = _enter(run).table()
    assert "password is missing" in table.iloc[-1]["to mend"]
    assert "is no tenant id" in _enter(run, tenant_id="contoso").table().set_index("field").loc["tenant id", "to mend"]
    assert set(_enter(run, typed=SECRET).table()["to mend"]) == {""}
    assert _hosts(workspace) == []


@pytest.mark.req("R1")
@pytest.mark.req("R9")
def test_a_typed_secret_is_in_the_vault_and_nowhere_else(run: onboard_host.Steps, workspace: Workspace) -> None:
    """The table says where it lies; no file of the workspace holds it; entered anew, the former one leaves the vault."""
    _enter(run, typed=SECRET)
    table = run.save_host(apply=True).set_index("setting")  # type: ignore[union-attr]
    assert table.loc["secret", "value"] == "in the workspace's vault"
    (host,) = _hosts(workspace)
    assert workspace.access.secrets(host.secret) == SECRET
    assert not [path for path in workspace.path.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    _enter(run, typed=SECRET + "2")
    run.save_host(apply=True)
    assert workspace.access.secrets(_hosts(workspace)[0].secret) == SECRET + "2"
    with pytest.raises(InputError, match="does not hold this secret"):
        workspace.access.secrets(host.secret)


def test_saving_again_changes_the_same_host_and_keeps_its_secret(run: onboard_host.Steps, workspace: Workspace) -> None:
    """A correction is no second host; an empty secret field leaves the secret as it is."""
    _enter(run, typed=SECRET)
    run.save_host(apply=True)
    _enter(run, version="2016", access="delegate")
    run.save_host(apply=True)
    (host,) = _hosts(workspace)
    assert (host.version, host.access, workspace.access.secrets(host.secret)) == ("2016", "delegate", SECRET)


def test_a_host_that_is_refused_leaves_no_secret_behind(run: onboard_host.Steps, workspace: Workspace) -> None:
    """The id of a secret pasted for its value is refused with the column to copy; the vault stays as it was."""
    before = workspace.vault.names() if workspace.vault.exists else []
    _enter(run, typed=GUIDS["tenant_id"], auth="oauth-app", url="", version="Office 365", service_user="", **GUIDS)
    with pytest.raises(InputError, match="id of a client secret"):
        run.save_host(apply=True)
    _enter(run, typed=SECRET, url="https://mail.customer.example/owa")
    with pytest.raises(InputError, match=r"does not end in \.asmx"):
        run.save_host(apply=True)
    assert (workspace.vault.names() if workspace.vault.exists else []) == before
    assert _hosts(workspace) == []


def test_a_secret_in_the_environment_needs_no_typing(
    run: onboard_host.Steps, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable's name is kept, and shown in place of the secret."""
    monkeypatch.setenv("SERVICE_PASSWORD", SECRET)
    form = _enter(run, credential_env="SERVICE_PASSWORD")
    assert form.table().set_index("field").loc["password or secret", "value"] == "in the variable SERVICE_PASSWORD"
    run.save_host(apply=True)
    assert _hosts(workspace)[0].secret == "env:SERVICE_PASSWORD"


def test_a_service_account_that_signs_in_gets_an_account_and_waits(
    run: onboard_host.Steps, workspace: Workspace
) -> None:
    """Without a person the step names who waits, and the command; users need nobody to sign in for them."""
    _enter(run, typed=SECRET, auth="oauth-code", url="", version="Office 365", **GUIDS)
    run.save_host(apply=True)
    waiting: Any = run.sign_in()
    assert waiting["who"].tolist() == ["svc@customer.example"]
    assert waiting["command"].tolist() == ["syncops signin svc@customer.example"]
    with workspace.database.read() as connection:
        (account,) = Accounts(connection).accounts()
    assert (account.is_impersonation_account, account.calendar) == (True, False)


def test_users_are_picked_from_those_without_a_calendar_and_added_once(
    run: onboard_host.Steps, workspace: Workspace
) -> None:
    """All, or the named; added twice they are there once; then they are not offered any more."""
    _enter(run, typed=SECRET)
    run.save_host(apply=True)
    run.users_form("alice@customer.example")
    assert "No user is on this host yet" in repr(run.add_users())
    for _ in range(2):
        table: Any = run.add_users(apply=True)
        assert table["user"].tolist() == ["alice@customer.example"]
    form = run.users_form("all")
    assert form.values == {"users": ("bob@customer.example",)}
    run.users_form("nobody@customer.example")
    with pytest.raises(NotThere, match="there is no CRM user nobody"):
        run.add_users(apply=True)


def _table(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "users.csv"
    file.write_text("\n".join(["user,send email", *lines]) + "\n")
    return str(file)


@pytest.mark.req("A10")
def test_a_table_is_previewed_and_added_whole_or_not_at_all(
    run: onboard_host.Steps, workspace: Workspace, tmp_path: Path
) -> None:
    """A fault is named first, with its mend; while there is one nothing is added; the mended table is added once."""
    _enter(run, typed=SECRET)
    run.save_host(apply=True)
    users = onboard_users.Steps("onboard_users", Opened(workspace))
    users.choose(file=_table(tmp_path, "alice@customer.example,no", "carol@customer.example,yes"))
    preview = users.preview()
    assert preview["outcome"].tolist() == ["fault", "new"]
    assert preview.loc[1, "user"] == "carol@customer.example"
    with pytest.raises(InputError, match="1 of 2 rows have a fault"):
        users.add(apply=True)
    with pytest.raises(InputError, match="not added yet"):
        users.permissions()
    assert "2 rows" in repr(
        users.choose(file=_table(tmp_path, "alice@customer.example,no", "bob@customer.example,yes"))
    )
    assert "2 accounts are not added yet" in repr(users.add())
    assert repr(users.add(apply=True)) == "**2 accounts added**; 0 were there already."
    assert repr(users.add(apply=False)) == "**0 accounts added**; 2 were there already."
    assert [each.mailbox for each in users.accounts_here()] == ["alice@customer.example", "bob@customer.example"]
    assert repr(users.first_cycle()) == "**Nothing was written.** Set `apply` to run the first cycle."
    assert users.outcome() == "blocked"


def test_without_a_table_every_step_says_so(workspace: Workspace) -> None:
    """A file that is not there, none at all."""
    users = onboard_users.Steps("onboard_users", Opened(workspace))
    assert "No table yet" in repr(users.choose())
    with pytest.raises(InputError, match="there is no table yet"):
        users.preview()
    with pytest.raises(InputError, match="cannot be read"):
        users.choose(file="/nowhere/users.csv")
