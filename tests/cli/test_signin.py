"""`signin`, `banner` and `vault` on the command line: what is printed, what is asked, what ends up where."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from typer.testing import CliRunner

from ops_lib.access.vault_keys import KEY_VARIABLE
from ops_lib.cli import app
from ops_lib.cli import signin as signin_command
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from tests.support.command_line import Answer, CommandLine
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE
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


def on(office: Office) -> CommandLine:
    return CommandLine(office.workspace.path)


def with_input(office: Office, text: str, *arguments: str) -> Answer:
    """A command with something on its stdin."""
    result = CliRunner().invoke(app, ["--workspace", str(office.workspace.path), *arguments], input=text)
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return Answer(result.exit_code, result.stdout, result.stderr)


@pytest.mark.req("A4")
def test_begin_and_finish(make: Make) -> None:
    """The address is printed by one command; another one, later, takes the pasted answer and says who signed in."""
    office = make()
    office.add(ALICE)
    begun = on(office)("signin", ALICE, "--begin", "--json").json
    assert begun["redirect_uri"] == "http://localhost:8412"
    address = office.at_the_pages(begun["url"], ALICE).address
    done = with_input(office, address + "\n", "signin", ALICE, "--finish", "--json")
    assert done.json == {
        "account": ALICE,
        "host": "cloud",
        "auth": "oauth-code",
        "signed_in_as": ALICE,
        "serves": [ALICE],
    }
    again = with_input(office, address + "\n", "signin", ALICE, "--finish")
    assert (again.exit_code, again.stdout) == (2, "")
    assert "finished already" in again.stderr
    assert "code=" not in again.stderr


def test_paste_without_an_answer(make: Make) -> None:
    """With --paste the address to open goes to stderr; an empty answer is refused with how to go on."""
    office = make(redirect_uri="https://crm.example.test/signin/outlook")
    office.add(ALICE)
    answer = with_input(office, "\n", "signin", ALICE)
    assert answer.exit_code == 2
    assert f"{office.sandbox.entra_url}/" in answer.stderr
    assert "--finish takes it later" in answer.stderr


@pytest.mark.req("A4")
@pytest.mark.parametrize(("who", "exit_code", "title"), [(ALICE, 0, "Signed in"), (BOB, 2, "Not signed in")])
def test_a_listener_on_this_machine(
    make: Make, monkeypatch: pytest.MonkeyPatch, who: str, exit_code: int, title: str
) -> None:
    """The browser comes back to the command itself and is told how it went; strangers and second answers find nothing there."""
    office = make()
    office.add(ALICE)
    shown: list[requests.Response] = []
    opened = threading.Event()
    url: list[str] = []
    say = signin_command.say

    def hear(message: str) -> None:
        say(message)
        if message.startswith("https://"):
            url.append(message)
            opened.set()

    monkeypatch.setattr(signin_command, "say", hear)
    monkeypatch.setattr(signin_command, "LISTEN_SECONDS", 20)

    def browse() -> None:
        assert opened.wait(20)
        address = office.at_the_pages(url[0], who).address
        port = urlsplit(address).port
        with requests.Session() as session:
            session.trust_env = False
            for each in (f"http://127.0.0.1:{port}/favicon.ico", f"http://127.0.0.1:{port}/?code=x&state=y", address):
                shown.append(session.get(each.replace("localhost", "127.0.0.1"), timeout=15))

    browser = threading.Thread(target=browse)
    browser.start()
    answer = on(office)("signin", ALICE, "--listen", "0", exit_code=exit_code)
    browser.join(20)
    assert [each.status_code for each in shown] == [404, 404, 200 if exit_code == 0 else 403]
    assert title in shown[-1].text
    assert shown[-1].headers["Cache-Control"] == "no-store"
    if exit_code == 0:
        assert answer.stdout == f"signed in as {ALICE} for {ALICE}.\n"
    else:
        assert f"{BOB} signed in, and the account is of {ALICE}" in answer.stderr


def test_nobody_comes_back(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in that nobody finishes ends by itself and says what else could be done; a redirect URI elsewhere cannot be listened on."""
    monkeypatch.setattr(signin_command, "LISTEN_SECONDS", 0.2)
    office = make()
    office.add(ALICE)
    assert "nobody came back" in on(office)("signin", ALICE, "--listen", "0", exit_code=2).stderr
    on(office)("host", "edit", "cloud", "--redirect-uri", "https://crm.example.test/signin/outlook")
    assert "is not this machine" in on(office)("signin", ALICE, "--listen", "0", exit_code=2).stderr
    assert "several ways" in on(office)("signin", ALICE, "--paste", "--device", exit_code=2).stderr


def test_a_refused_password_that_was_right_after_all(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`signin` on a host with a password tries it once; after the account was unlocked that is what lets the sync go on."""
    monkeypatch.setenv("SVC", "")
    office = make(auth="basic", access="impersonation", service_user=SERVICE, secret="env:SVC", redirect_uri=None)
    monkeypatch.setenv("SVC", office.sandbox.passwords[SERVICE])
    office.add(ALICE)
    office.sandbox.attempts.lock(SERVICE)
    on(office)("sync", exit_code=1)
    before = office.sandbox.attempts.count(SERVICE)
    assert on(office)("sync", "--json", exit_code=1).json["accounts"][0]["requests"] == 0
    assert office.sandbox.attempts.count(SERVICE) == before
    office.sandbox.attempts.unlock(SERVICE)
    on(office)("sync", exit_code=1)
    assert on(office)("signin", ALICE).stdout.startswith(f"signed in as {SERVICE} for {ALICE}")
    on(office)("sync")
    assert "no person is needed" in on(office)("signin", ALICE, "--paste", exit_code=2).stderr


@pytest.mark.req("A6")
def test_the_banner(make: Make) -> None:
    """Users see their own sign-in, administrators those that act for others; opt-out closes it for one; the key icon shows it again."""
    office = make(access="impersonation")
    service = office.add(SERVICE, is_impersonation_account=True, calendar=False)
    office.add(ALICE)
    run = on(office)

    def seen(user: str) -> list[str]:
        return [each["account"] for each in run("banner", "--user", user, "--json").json]

    (row,) = run("banner", "--json").json
    assert (row["account"], row["state"], row["serves"], row["for_admins"]) == (SERVICE, "needed", 2, True)
    assert (row["reason"], row["next_step"]) == ("nobody has signed in yet", f"syncops signin {SERVICE}.")
    assert [seen(each) for each in (ALICE, CAROL, SERVICE)] == [[], [SERVICE], [SERVICE]]
    assert "nobody has to sign in" in run("banner", "--user", CAROL, "--opt-out").stdout
    assert [seen(each) for each in (CAROL, SERVICE)] == [[], [SERVICE]]
    assert f"{SERVICE} is asked" in run("banner", "--ask", ALICE).stderr
    assert seen(CAROL) == [SERVICE]
    office.sign_in(service)
    assert seen(CAROL) == []
    run("banner", "--ask", SERVICE)
    assert [each["state"] for each in run("banner", "--user", CAROL, "--json").json] == ["asked for"]
    assert "whose banner" in run("banner", "--opt-out", exit_code=2).stderr


@pytest.mark.req("A6", "H3")
def test_a_new_client_secret_asks_to_sign_in_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a new secret whoever signed in is asked to do it again, and is in the banner until then."""
    office = make()
    alice = office.add(ALICE)
    office.sign_in(alice)
    assert on(office)("banner", "--json").json == []
    monkeypatch.setenv("NEW_SECRET", office.sandbox.app.secret)
    assert (
        f"{ALICE} is asked to sign in again" in on(office)("host", "edit", "cloud", "--secret-env", "NEW_SECRET").stderr
    )
    assert on(office)("banner", "--json").json[0]["reason"] == "the host's client secret was changed"
    office.sign_in(alice)
    assert on(office)("banner", "--json").json == []


@pytest.mark.req("A6", "A9")
@pytest.mark.parametrize(
    ("option", "other"),
    [
        ("--client-id", "22222222-2222-4222-8222-222222222222"),
        ("--tenant-id", "11111111-1111-4111-8111-111111111111"),
        ("--authority", "https://directory.example"),
    ],
)
def test_another_app_registration_asks_to_sign_in_again(make: Make, option: str, other: str) -> None:
    """A sign-in is good for one app, tenant and directory: with another, the banner asks; back with the former, the next cycle mends it."""
    office = make()
    office.sign_in(office.add(ALICE))
    run = on(office)
    before = getattr(office.host, option.strip("-").replace("-", "_"))
    assert f"{ALICE} is asked to sign in again" in run("host", "edit", "cloud", option, other).stderr
    run("sync", exit_code=1)
    (row,) = run("banner", "--json").json
    assert (row["account"], row["state"], row["response_code"]) == (ALICE, "needed", "not signed in")
    assert row["reason"] == "the host's app registration was changed"
    run("host", "edit", "cloud", option, before)
    run("sync")
    assert run("banner", "--json").json == []


@pytest.mark.req("A6", "A9")
def test_a_vault_that_was_moved_away_asks_to_sign_in_again(make: Make) -> None:
    """After a cycle has found no sign-in, the banner asks for it, once and for the moment it was found; with the vault back it is mended."""
    office = make()
    office.sign_in(office.add(ALICE))
    run, vault = on(office), office.workspace.vault.path
    away = vault.rename(vault.with_suffix(".away"))
    run("sync", exit_code=1)
    (row,) = run("banner", "--json").json
    assert (row["account"], row["state"], row["next_step"]) == (ALICE, "needed", f"syncops signin {ALICE}.")
    run("sync", exit_code=1)
    assert run("banner", "--json").json == [row]
    away.rename(vault)
    run("sync")
    assert run("banner", "--json").json == []


@pytest.mark.req("R9")
def test_a_secret_from_stdin_goes_into_the_vault(make: Make) -> None:
    """A piped secret is in the vault only, works, is replaced and removed by the next one, and is not kept where the command failed."""
    office = make(auth="oauth-app", access="impersonation", redirect_uri=None)
    office.add(ALICE)
    right = office.sandbox.app.secret
    assert with_input(office, right + "\n", "host", "edit", "cloud", "--secret-stdin").exit_code == 0
    first = on(office)("host", "list", "--json").json[0]["secret"]
    assert first.startswith("vault:")
    on(office)("sync")
    assert with_input(office, "another", "host", "edit", "cloud", "--secret-stdin").exit_code == 0
    assert "AADSTS7000215" in on(office)("sync", exit_code=1).stderr
    kept = [each for each in on(office)("vault", "list", "--json").json if each["kind"] == "secret"]
    assert len(kept) == 1
    assert f"vault:{kept[0]['name']}" != first
    refused = with_input(office, "x", "host", "edit", "nowhere", "--secret-stdin")
    assert (refused.exit_code, "no host nowhere" in refused.stderr) == (2, True)
    guid = with_input(
        office, "5a0d0b0c-51fd-4c1b-8a3d-7a1e5a2db0c5", "host", "edit", "cloud", "--auth", "oauth-app", "--secret-stdin"
    )
    assert "the id of a client secret, not its value" in guid.stderr
    assert [each for each in on(office)("vault", "list", "--json").json if each["kind"] == "secret"] == kept
    several = with_input(office, "x", "host", "edit", "cloud", "--secret-stdin", "--secret-env", "X")
    assert "several places" in several.stderr
    assert "nobody is at a terminal" in with_input(office, "", "host", "edit", "cloud", "--secret-ask").stderr


@pytest.mark.req("H5")
@pytest.mark.parametrize(
    ("piped", "words"),
    [
        (b"zq9x\nw8vk\n", "more than one line"),
        (b"\xff\xfez\x00q\x00", "holds no text"),
        (b"\n", "is empty"),
        (b"  ", "is empty"),
    ],
)
def test_a_piped_secret_is_checked_as_it_comes_in(make: Make, piped: bytes, words: str) -> None:
    """Two lines, bytes that are no UTF-8, and nothing are refused with the reason and without the secret, and nothing is kept."""
    office = make(auth="oauth-app", access="impersonation", redirect_uri=None)
    before = on(office)("vault", "list", "--json").json
    result = CliRunner().invoke(
        app, ["--workspace", str(office.workspace.path), "host", "edit", "cloud", "--secret-stdin"], input=piped
    )
    assert (result.exit_code, words in result.stderr, "zq9x" in result.stderr) == (
        2,
        True,
        False,
    )
    assert on(office)("vault", "list", "--json").json == before


@pytest.mark.req("H5")
def test_a_new_secret_that_is_an_id_is_not_sent(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret's id given to `host rotate` is refused before the directory hears of it."""
    office = make(auth="oauth-app", access="impersonation", redirect_uri=None)
    office.add(ALICE)
    monkeypatch.setenv("NEW_SECRET", "5a0d0b0c-51fd-4c1b-8a3d-7a1e5a2db0c5")
    asked = office.asked_for_tokens()
    answer = on(office)("host", "rotate", "cloud", "--secret-env", "NEW_SECRET", exit_code=2)
    assert "the id of a client secret, not its value" in answer.stderr
    assert office.asked_for_tokens() == asked


@pytest.mark.req("R9")
def test_a_secret_that_is_asked_for(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal a missing secret is asked for twice, without being shown; two different ones are refused."""
    office = make()
    answers = iter(["one", "two", "right", "right"])
    monkeypatch.setattr("ops_lib.cli.secrets.can_ask", lambda: True)
    monkeypatch.setattr("ops_lib.cli.host.can_ask", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(answers))
    command = ("host", "add", "own", "--url", "https://mail.example/EWS/Exchange.asmx", "--service-user", SERVICE)
    assert "not the same password" in on(office)(*command, exit_code=2).stderr
    on(office)(*command)
    (own,) = [each for each in on(office)("host", "list", "--json").json if each["name"] == "own"]
    assert office.access.secrets(own["secret"]) == "right"


@pytest.mark.req("R9")
def test_the_vault_gets_a_new_key(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """`vault rotate-key` goes from one key in the environment to the next; the sign-ins are still there."""
    office = make()
    office.sign_in(office.add(ALICE))
    run = on(office)
    new = run("vault", "new-key").stdout.strip()
    assert "new one is not given" in run("vault", "rotate-key", exit_code=2).stderr
    monkeypatch.setenv("SYNCOPS_VAULT_NEW_KEY", new)
    assert "set SYNCOPS_VAULT_KEY to it" in run("vault", "rotate-key").stdout
    assert "another one" in run("vault", "list", exit_code=2).stderr
    monkeypatch.setenv(KEY_VARIABLE, new)
    assert run("vault", "list", "--json").json[0]["name"].endswith(f"|{ALICE}")
    run("sync")
