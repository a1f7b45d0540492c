"""Nothing a run writes holds a secret: the database and its log, the vault, outputs, logs, errors with all their frames, notebooks."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from ops_lib.access import signin
from ops_lib.access.accounts import Accounts
from ops_lib.access.secrets import Secrets
from ops_lib.errors import OpsError
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Kind
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet
from tests.support.leaks import dumped, forms, found_in
from tests.support.sandbox import ALICE, BOB, SERVICE
from tests.support.signing_in import Office

WRONG = "Wr0ng/secret+with=signs & spaces"


@pytest.fixture(autouse=True)
def _no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield
    close_connections()


def files(folder: Path) -> bytes:
    return b"\0".join(each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file())


def tokens_of(office: Office) -> list[str]:
    """Every token and code the vault knows: what must not be anywhere else."""
    found: list[str] = []

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                if name == "secret" and isinstance(each, str):
                    found.append(each)
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)
        elif isinstance(value, str) and value.startswith("{"):
            walk(json.loads(value))

    for name in office.workspace.vault.names():
        walk(json.loads(office.workspace.vault.get(name) or "{}") if name.startswith("tokens/") else None)
    return found


@pytest.mark.req("R9")
def test_the_search_finds_what_is_there() -> None:
    """The search itself finds a secret in plain, in base64 at any offset, and as part of an address."""
    for text in (
        WRONG,
        "Basic c3ZjOldyMG5nL3NlY3JldCt3aXRoPXNpZ25zICYgc3BhY2Vz",
        "client_secret=Wr0ng%2Fsecret%2Bwith%3Dsigns+%26+spaces&x=1",
    ):
        assert found_in(text.encode(), [WRONG]), text
    assert found_in(b"nothing of it", [WRONG]) == []
    assert len(forms(WRONG)) > 4


@pytest.mark.req("R9")
@pytest.mark.parametrize("auth", ["basic", "ntlm", "oauth-app", "oauth-code"])
def test_a_run_leaves_no_secret(
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    auth: str,
) -> None:
    """A good cycle, refused ones, servers and directories that fail: none of it writes or carries a secret, in any form."""
    caplog.set_level(logging.DEBUG)  # as somebody would who looks for a fault
    by_password = auth in ("basic", "ntlm")
    password = sandbox.passwords[SERVICE]
    right = password if by_password else sandbox.app.secret
    more: dict[str, Any] = {"service_user": SERVICE, "redirect_uri": None} if by_password else {}
    if auth == "oauth-app":
        more = {"redirect_uri": None}
    monkeypatch.setenv("SECRET", right)
    office = Office(
        sandbox, tmp_path / "w", monkeypatch, auth=auth, secret="env:SECRET",
        access="direct" if auth == "oauth-code" else "impersonation", **more,
    )  # fmt: skip
    key = os.environ["SYNCOPS_VAULT_KEY"]
    alice, _ = office.add(ALICE), office.add(BOB)
    errors: list[BaseException] = []
    given: list[str] = []  # every token and code that anybody was given, also those that were not kept
    directory_token = sandbox.directory.token

    def listening(tenant: str, form: Any, *more: Any) -> Any:
        status, document = directory_token(tenant, form, *more)
        given.extend(str(document[name]) for name in ("access_token", "refresh_token", "id_token") if name in document)
        given.extend(str(form[name]) for name in ("code", "code_verifier") if name in form)
        return status, document

    monkeypatch.setattr(sandbox.directory, "token", listening)
    if auth == "oauth-code":
        office.sign_in(alice)
        with pytest.raises(OpsError) as caught:
            office.sign_in(alice, as_whom=BOB)
        errors.append(caught.value)
    else:
        reference = Secrets(office.workspace.vault).keep(right)
        assert office.access.secrets(reference) == right
    known = [right, key, WRONG, sandbox.passwords[BOB], *tokens_of(office)]

    def cycle() -> None:
        with office.workspace.database.read() as connection:
            accounts = Accounts(connection).accounts()
        run = Fleet(office.workspace, sleep=lambda seconds: None).run(accounts, threads=2)
        errors.extend(result.error for result in run.results if result.error is not None)

    def as_new_process() -> None:
        close_connections()
        signin._of_users.clear()
        signin._of_apps.clear()

    cycle()
    operation = "*" if by_password else "Token"
    for fault in (
        {"status": 500, "body": f"boom {right}"},
        {"status": 401, "body": f"no: {right}"},
        {"drop": "before"},
        {"body": "not what was asked for"},
    ):
        as_new_process()
        sandbox.clock.advance(7200)
        sandbox.faults.add({"operation": operation, "fault": fault})
        cycle()
        sandbox.faults.clear()
    monkeypatch.setenv("SECRET", WRONG)
    as_new_process()
    sandbox.clock.advance(7200)
    cycle()
    with pytest.raises(OpsError) as caught:
        office.workspace.open_mailbox(office.host, alice).changes(Kind.TASK)
    errors.append(caught.value)
    known += tokens_of(office) + given
    assert len(errors) > 4
    assert by_password or given
    captured = capfd.readouterr()
    places = {
        "the workspace": files(office.workspace.path),
        "stdout and stderr": (captured.out + captured.err).encode(),
        "logs": caplog.text.encode(),
        "errors": "\n".join(dumped(error) for error in errors).encode(),
        "objects": "\n".join(map(repr, [office.host, alice, office.workspace, office.access, office.workspace.vault])).encode(),
    }  # fmt: skip
    assert {place: found for place, content in places.items() if (found := found_in(content, known))} == {}


@pytest.mark.req("R9")
def test_a_command_that_fails_prints_no_secret(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line in a process of its own, with tracebacks asked for: its whole output, the executed notebook, the report and the index of runs hold no secret."""
    office = Office(sandbox, tmp_path / "w", monkeypatch, auth="oauth-app", access="impersonation", redirect_uri=None)
    office.add(ALICE)
    environment = os.environ | {"CLIENT_SECRET": WRONG, "SYNCOPS_TRACEBACK": "1"}
    for command in (["sync"], ["sync", "--json"], ["status", "--json"], ["check"], ["host", "list", "--json"], ["rights", "check"], ["signin", ALICE], ["run", "report_sync"], ["run", "verify_permissions"], ["report"], ["runs", "--json"]):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "ops_lib.cli", "--workspace", str(office.workspace.path), *command],
            capture_output=True, env=environment, timeout=120, check=False,
        )  # fmt: skip
        assert b"Traceback" not in done.stderr
        assert found_in(done.stdout + done.stderr, [WRONG, sandbox.app.secret]) == []
    written = {each.suffix for each in (office.workspace.path / "runs").rglob("*") if each.is_file()}
    assert {".ipynb", ".html"} <= written
    assert found_in(files(office.workspace.path), [WRONG, sandbox.app.secret, os.environ["SYNCOPS_VAULT_KEY"]]) == []
