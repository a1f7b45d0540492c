"""The onboarding without a person, through papermill, on a workspace like any other: what it does, what it says, and what it never writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops_lib.runbook import demo
from ops_lib.sync.mapping import instant_text

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def customer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[demo.Demo]:
    """A customer with an Exchange organisation and a CRM, and nothing that joins them."""
    made = demo.make(tmp_path_factory.mktemp("customer") / "demo", onboarded=False)
    yield made
    made.close()


def _run(customer: demo.Demo, *arguments: str) -> tuple[int, dict[str, Any]]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SYNCOPS_")}
    environment["SYNCOPS_NOW"] = instant_text(customer.clock())
    environment["SERVICE_PASSWORD"] = customer.sandbox.residents.service.password
    command = [
        sys.executable,
        "-m",
        "ops_lib.cli",
        "--workspace",
        str(customer.workspace.path),
        "run",
        *arguments,
        "--json",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=180)
    return done.returncode, json.loads(done.stdout) if done.stdout else {"message": done.stderr}


@pytest.mark.req("R1")
@pytest.mark.req("R8")
@pytest.mark.req("R9")
def test_a_host_and_its_users_are_connected_without_a_person(customer: demo.Demo, tmp_path: Path) -> None:
    """Without apply it stops before it would write; with it the users are in step; again, nothing is made twice; the password is in no file."""
    host = [
        "-p", f"url={customer.sandbox.ews_url_https}", "-p", "version=2019", "-p", "auth=basic", "-p", f"ca_bundle={customer.workspace.path / demo.AUTHORITY_FILE}",
        "-p", f"service_user={customer.sandbox.residents.service.address}", "-p", "credential_env=SERVICE_PASSWORD",
    ]  # fmt: skip
    users = [user.email for user in customer.population.users]
    host += ["-p", f"users={users[0]},{users[1]}"]
    code, asked = _run(customer, "onboard_host", *host)
    assert (code, asked["outcome"], asked["step"]) == (1, "blocked", "4. Sign in")
    assert "is not saved yet" in asked["message"]
    code, done = _run(customer, "--again", "last", "-p", "apply=true")
    assert (code, done["outcome"], done["again_of"]) == (0, "ok", asked["run"])
    assert done["figures"]["syncing"] == 2
    assert done["figures"]["made_in_outlook"] > 10
    code, again = _run(customer, "onboard_host", *host, "-p", "apply=true")
    assert (again["outcome"], again["figures"]["made_in_outlook"], again["figures"]["made_in_the_crm"]) == ("ok", 0, 0)
    table = tmp_path / "users.csv"
    table.write_text("\n".join(["user", *users[:3]]) + "\n")
    code, added = _run(customer, "onboard_users", "-p", f"file={table}", "-p", "apply=true")
    assert (code, added["outcome"], added["figures"]["accounts"], added["figures"]["syncing"]) == (0, "ok", 3, 3)
    password = customer.sandbox.residents.service.password.encode()
    files = [path for path in customer.workspace.path.rglob("*") if path.is_file()]
    assert len([path for path in files if path.suffix in (".ipynb", ".html")]) == 8
    assert [path.name for path in files if password in path.read_bytes()] == [demo.PASSWORD_FILE]
