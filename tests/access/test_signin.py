"""Signing in through the real MSAL at the sandbox's directory, and what the tokens are good for afterwards."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import stamina
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from ops_lib.access import signin, tokens
from ops_lib.access.sign_ins import SignInStates
from ops_lib.access.vault import Vault
from ops_lib.access.vault_keys import KEY_VARIABLE, Key
from ops_lib.diagnosis.sign_in_errors import AADSTS
from ops_lib.errors import (
    InputError,
    MailboxError,
    ServerBusy,
    ServerFailed,
    SignInRefused,
    Unreachable,
    WorkspaceError,
)
from ops_lib.mailbox.ews import oauth
from ops_lib.mailbox.ews.oauth import App, _Bounded, asked, fingerprint
from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.model import Account, Kind
from ops_lib.sandbox.entra import Certificate
from ops_lib.sandbox.server import Sandbox
from ops_lib.sync.fleet import Fleet
from ops_lib.sync.ledger import Ledger
from ops_lib.workspace import Workspace
from tests.support.browser_forms import Person
from tests.support.leaks import dumped
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE
from tests.support.signing_in import Office

Make = Callable[..., Office]


@pytest.fixture(autouse=True)
def _no_pauses() -> Any:
    """Tries are counted as in earnest, without the pauses between them."""
    with stamina.set_testing(True, attempts=4):
        yield


@pytest.fixture
def make(sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``make(auth="oauth-device", …)``: an office whose host is entered so."""
    offices: list[Office] = []

    def made(**entered: Any) -> Office:
        offices.append(Office(sandbox, tmp_path / f"w{len(offices)}", monkeypatch, **entered))
        return offices[-1]

    yield made
    for office in offices:
        office.workspace.close()
    close_connections()


def read(office: Office, account: Account) -> Any:
    return office.workspace.open_mailbox(office.host, account).changes(Kind.EVENT)


@pytest.mark.req("A4", "A8")
def test_a_user_signs_in_and_is_kept_in_step(make: Make) -> None:
    """The way through the browser: PKCE and state in the address, the pasted answer, a kept sign-in, a green cycle as that user."""
    office = make()
    alice = office.add(ALICE)
    with pytest.raises(SignInRefused, match="nobody has signed in yet") as caught:
        read(office, alice)
    assert caught.value.fix == f"syncops signin {ALICE}."
    begun = office.begin(alice)
    for part in ("code_challenge_method=S256", "state=", "EWS.AccessAsUser.All", "offline_access", "redirect_uri="):
        assert part in begun.url
    signed_in = office.access.finish_code(office.host, alice, office.at_the_pages(begun.url, ALICE).address)
    assert (signed_in.as_whom, signed_in.serves) == (ALICE, (ALICE,))
    assert office.state(alice).state == "signed-in"
    (result,) = Fleet(office.workspace).run([alice]).results
    assert (result.outcome, str(result.error)) == ("ok", "None")


@pytest.mark.req("A4")
def test_somebody_else_is_refused_and_not_kept(make: Make) -> None:
    """Who signs in as another mailbox is told so; nothing is kept, and an earlier sign-in stays as it was."""
    office = make()
    alice, bob = office.add(ALICE), office.add(BOB)
    with pytest.raises(SignInRefused, match=f"{BOB} signed in, and the account is of {ALICE}: nothing of it is kept"):
        office.sign_in(alice, as_whom=BOB)
    assert office.workspace.vault.names() == []
    office.sign_in(alice)
    with pytest.raises(SignInRefused, match="signed in, and the account is"):
        office.sign_in(alice, as_whom=BOB)
    assert read(office, alice).sync_state
    with pytest.raises(SignInRefused, match="nobody has signed in"):
        read(office, bob)


@pytest.mark.req("A4")
@pytest.mark.parametrize(("who", "is_theirs"), [(ALICE, True), (BOB, False)])
def test_a_mailbox_of_another_name_is_asked_for(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, who: str, is_theirs: bool
) -> None:
    """Where the directory's name is not the mailbox' address, the mail server says whose it is; a right to its folders is not enough."""
    office = make()
    alice = office.add(ALICE)
    sandbox.organisation.set_permission(ALICE, "calendar", BOB, "Owner")

    def renamed(acquire: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        answer = acquire()
        answer["id_token_claims"] |= {"preferred_username": "e1234@staff.example", "upn": "e1234@staff.example"}
        return answer

    monkeypatch.setattr("ops_lib.access.signin._without_nonce_error", renamed)
    if is_theirs:
        assert office.sign_in(alice, as_whom=who).as_whom == "e1234@staff.example"
        return
    with pytest.raises(SignInRefused, match=r"e1234@staff\.example signed in"):
        office.sign_in(alice, as_whom=who)
    assert office.workspace.vault.names() == []


@pytest.mark.req("A4")
def test_a_name_that_another_tenant_gave_proves_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The account's address as the name of who signed in counts from the host's own tenant; of another, the mail server is asked."""
    office = make()
    alice = office.add(ALICE)

    def from_elsewhere(acquire: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        answer = acquire()
        answer["id_token_claims"] |= {"preferred_username": ALICE, "tid": "11111111-1111-4111-8111-111111111111"}
        return answer

    monkeypatch.setattr("ops_lib.access.signin._without_nonce_error", from_elsewhere)
    with pytest.raises(SignInRefused, match="nothing of it is kept"):
        office.sign_in(alice, as_whom=BOB)
    assert office.workspace.vault.names() == []
    assert office.sign_in(alice).as_whom == ALICE


@pytest.mark.req("A4", "A5")
def test_the_impersonation_account_signs_in_for_all(make: Make) -> None:
    """On a host with an impersonation account it signs in once, for everybody; the others are sent to it."""
    office = make(access="impersonation")
    service = office.add(SERVICE, is_impersonation_account=True, calendar=False)
    alice, bob = office.add(ALICE), office.add(BOB)
    with pytest.raises(InputError, match=f"{SERVICE} signs in for this account"):
        office.begin(alice)
    assert set(office.sign_in(service).serves) == {ALICE, BOB, SERVICE}
    assert {r.outcome for r in Fleet(office.workspace).run([alice, bob], threads=2).results} == {"ok"}
    assert office.asked_for_tokens() == 1


@pytest.mark.req("A5")
def test_without_an_impersonation_account_each_user_signs_in(make: Make) -> None:
    """A host that could impersonate and has nobody for it has each user sign in, and open their own mailbox."""
    office = make(access="impersonation")
    alice = office.add(ALICE)
    office.sign_in(alice)
    assert [r.outcome for r in Fleet(office.workspace).run([alice]).results] == ["ok"]


def test_a_sign_in_serves_once(make: Make) -> None:
    """An answer that is pasted twice, for another account, too late, without a state, or of somebody else's making is refused."""
    office = make()
    alice, bob = office.add(ALICE), office.add(BOB)
    address = office.at_the_pages(office.begin(alice).url, ALICE).address
    office.access.finish_code(office.host, alice, address)
    for account, pasted, words in (
        (alice, address, "not begun for this account, or was finished already"),
        (alice, "http://localhost:8412/?code=x&state=invented", "was not begun"),
        (bob, office.at_the_pages(office.begin(alice).url, ALICE).address, "was not begun for this account"),
        (alice, "http://localhost:8412/", "not the address"),
        (alice, "", "not the address"),
    ):
        with pytest.raises(InputError, match=words):
            office.access.finish_code(office.host, account, pasted)


@pytest.mark.req("A4")
def test_another_account_s_sign_in_is_left_to_it(make: Make) -> None:
    """An address that answers another account's sign-in is refused, and still finishes the one it belongs to."""
    office = make()
    alice, bob = office.add(ALICE), office.add(BOB)
    address = office.at_the_pages(office.begin(alice).url, ALICE).address
    with pytest.raises(InputError, match="not begun for this account"):
        office.access.finish_code(office.host, bob, address)
    assert office.access.finish_code(office.host, alice, address).account == alice


@pytest.mark.req("R9")
def test_an_abandoned_sign_in_does_not_stay(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody finished in time is out of the vault once the next sign-in begins."""
    office = make()
    alice = office.add(ALICE)
    office.begin(alice)
    office.begin(alice)
    later = time.time() + signin.FLOW_SECONDS + 1
    monkeypatch.setattr("ops_lib.access.signin.time.time", lambda: later)
    office.begin(alice)
    assert len([name for name in office.workspace.vault.names() if name.startswith("flow/")]) == 1


@pytest.mark.req("A4")
def test_a_sign_in_that_took_too_long(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in that was begun more than a quarter of an hour ago is begun again."""
    office = make()
    alice = office.add(ALICE)
    address = office.at_the_pages(office.begin(alice).url, ALICE).address
    late = time.time() + 1000
    monkeypatch.setattr("ops_lib.access.signin.time.time", lambda: late)
    with pytest.raises(InputError, match="took too long"):
        office.access.finish_code(office.host, alice, address)


def test_a_user_who_declines(make: Make) -> None:
    """Declining comes back as one sentence with the code, and the banner keeps the reason."""
    office = make()
    alice = office.add(ALICE)
    page = Person(office.sandbox).open(office.begin(alice).url)
    page = page.send(username=ALICE, password=office.sandbox.passwords[ALICE]).send(answer="decline")
    with pytest.raises(SignInRefused, match="AADSTS65004") as caught:
        office.access.finish_code(office.host, alice, page.address)
    assert caught.value.fix == "the user signs in again and accepts."
    assert (office.state(alice).state, office.state(alice).response_code) == ("refused", "AADSTS65004")


@pytest.mark.req("A8")
@pytest.mark.parametrize("way", ["device", "code"])
def test_a_sign_in_that_could_not_be_kept_is_not_begun(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Where the vault cannot be opened, nobody is sent to a browser and no directory is asked: the vault's own error comes first."""
    office = make(auth=f"oauth-{way}", client_id=sandbox.public_app.client_id, secret="")
    alice = office.add(ALICE)
    office.workspace.vault.put("something", "sealed with the former key")
    monkeypatch.setenv(KEY_VARIABLE, Key.new().text())
    access = Workspace.open(office.workspace.path).access
    asked_before = sandbox.sign_ins.total()
    with pytest.raises(WorkspaceError, match="does not open this vault"):
        (access.begin_device if way == "device" else access.begin_code)(office.host, alice)
    assert sandbox.sign_ins.total() == asked_before


@pytest.mark.req("A8")
def test_a_device_code(make: Make, sandbox: Sandbox) -> None:
    """The code is entered at another device's browser; until then the directory is asked at its pace."""
    office = make(auth="oauth-device", client_id=sandbox.public_app.client_id, secret="")
    alice = office.add(ALICE)
    begun = office.access.begin_device(office.host, alice)
    assert begun.user_code in begun.message
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        sandbox.clock.advance(seconds)
        if len(pauses) == 2:
            page = Person(sandbox).open(begun.verification_uri).send(user_code=begun.user_code)
            page = page.send(username=ALICE, password=sandbox.passwords[ALICE])
            page = page.send(answer="accept")
            if page.title != f"You have signed in to {sandbox.public_app.name}":
                page.send(answer="accept")

    assert office.access.finish_device(office.host, alice, begun, sleep).as_whom == ALICE
    assert len(pauses) == 2
    assert read(office, alice).sync_state


@pytest.mark.req("A8")
def test_an_app_signs_in_with_a_certificate(make: Make, sandbox: Sandbox, tmp_path: Path) -> None:
    """A PEM file with key and certificate is the app's secret; one the app does not know is AADSTS700027; a broken one names its fault."""
    known, stranger = certificate(), certificate()
    sandbox.app.certificates.append(Certificate.read(known[1]))
    path = tmp_path / "app.pem"
    path.touch(mode=0o600)
    path.write_text(known[0] + known[1])
    office = make(auth="oauth-app", access="impersonation", secret=f"file:{path}", redirect_uri=None)
    alice = office.add(ALICE)
    assert read(office, alice).sync_state
    path.write_text(stranger[0] + stranger[1])
    with pytest.raises(SignInRefused, match="AADSTS700027"):
        read(office, alice)
    for content, words in (
        (known[0] + stranger[1], "not the certificate's"),
        (known[0], "no certificate"),
        (known[1], "no private key"),
        (known[0].replace("MII", "xxx") + known[1], "damaged"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=words) as caught:
            read(office, alice)
        assert "-----BEGIN" not in dumped(caught.value)


# ── tokens, later ────────────────────────────────────────────────────────────────────────────────────────────────────
def forget_tokens() -> None:
    """As a new process: what is known is in the vault."""
    close_connections()
    signin._of_users.clear()
    signin._of_apps.clear()


@pytest.mark.req("A9")
def test_threads_share_one_refresh(make: Make, sandbox: Sandbox) -> None:
    """Sixteen threads that find the token at its end refresh it once, and each goes on with the new one."""
    office = make(access="impersonation")
    sandbox.directory.members.policy.access_token_seconds = 50
    service = office.add(SERVICE, is_impersonation_account=True, calendar=False)
    alice = office.add(ALICE)
    office.sign_in(service)
    sandbox.directory.members.policy.access_token_seconds = 3600
    before, failed = office.asked_for_tokens(), list[Exception]()
    start = threading.Barrier(16, timeout=30)

    def work() -> None:
        try:
            mailbox = office.workspace.open_mailbox(office.host, alice)
            start.wait()
            mailbox.changes(Kind.EVENT)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must see it
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert failed == []
    assert office.asked_for_tokens() == before + 1


@pytest.mark.req("A9")
@pytest.mark.parametrize("auth", ["oauth-code", "oauth-app"])
def test_threads_share_another_token_for_a_refused_one(make: Make, sandbox: Sandbox, auth: str) -> None:
    """Whoever was refused with a token is given the one that replaced it: one refresh for sixteen, and another only for another refusal."""
    office = make(auth=auth, access="direct" if auth == "oauth-code" else "impersonation")
    alice = office.add(ALICE)
    if auth == "oauth-code":
        office.sign_in(alice)
    source = office.access.tokens(office.host, alice)
    refused = fingerprint(source.token(ALICE)["access_token"])
    before, given = office.asked_for_tokens(), list[str]()
    threads = [
        threading.Thread(target=lambda: given.append(source.new_token(ALICE, refused)["access_token"]))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(given), len(set(given)), office.asked_for_tokens()) == (16, 1, before + 1)
    assert fingerprint(given[0]) != refused
    source.new_token(ALICE, fingerprint(given[0]))
    assert office.asked_for_tokens() == before + 2


_PROCESS = """
import sys
from ops_lib.workspace import Workspace
from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import Hosts
from ops_lib.model import Kind
workspace = Workspace.open(sys.argv[1])
with workspace.database.read() as connection:
    host, account = Hosts(connection).get("cloud"), Accounts(connection).one("alice@example.test")
mailbox = workspace.open_mailbox(host, account)
print("ready", flush=True)
sys.stdin.readline()
print(bool(mailbox.changes(Kind.EVENT).sync_state))
"""


@pytest.mark.req("A9")
@pytest.mark.parametrize("auth", ["oauth-code", "oauth-app"])
def test_processes_share_one_refresh(make: Make, sandbox: Sandbox, auth: str) -> None:
    """Two processes that need a token at the same moment ask the directory once; the other finds it in the vault."""
    if auth == "oauth-app":
        office = make(auth=auth, access="impersonation", redirect_uri=None)
        office.access.secrets.keep("something else")  # a vault there is
        office.add(ALICE)
    else:
        office = make()
        sandbox.directory.members.policy.access_token_seconds = 50
        office.sign_in(office.add(ALICE))
        sandbox.directory.members.policy.access_token_seconds = 3600
    before = office.asked_for_tokens()
    command = [sys.executable, "-c", _PROCESS, str(office.workspace.path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"  # type: ignore[union-attr]
    for process in processes:
        process.stdin.write("\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["True\n", "True\n"]
    assert office.asked_for_tokens() == before + 1


@pytest.mark.req("A9")
def test_a_token_that_ends_in_the_middle_of_a_cycle(make: Make, sandbox: Sandbox) -> None:
    """A token that the server does not take any more is renewed between two requests; the cycle goes on and nothing is lost."""
    office = make()
    alice = office.add(ALICE)
    office.sign_in(alice)
    for number in range(3):
        sandbox.organisation.create_item(ALICE, "calendar", {"item:Subject": f"Lunch {number}"} | times(number))
    mailbox = office.workspace.open_mailbox(office.host, alice)
    state = mailbox.changes(Kind.EVENT).sync_state
    sandbox.clock.advance(7200)
    assert mailbox.changes(Kind.EVENT, state).sync_state
    (result,) = Fleet(office.workspace).run([alice]).results
    assert (result.outcome, result.counts()["created"]["crm"]) == ("ok", 3)
    assert office.state(alice).state == "signed-in"


@pytest.mark.req("A9", "T1")
def test_a_refused_refresh_is_a_status_and_a_banner(make: Make, sandbox: Sandbox) -> None:
    """A withdrawn sign-in: Unauthorized with the code, the banner, no hang, no second question; a new sign-in mends all of it."""
    office = make()
    alice = office.add(ALICE)
    office.sign_in(alice)
    assert Fleet(office.workspace).run([alice]).all_well
    sandbox.clock.advance(5)
    sandbox.directory.grants.revoke(ALICE)
    forget_tokens()
    (result,) = Fleet(office.workspace).run([alice]).results
    assert isinstance(result.error, SignInRefused)
    assert result.error.response_code == "AADSTS50173"
    with office.workspace.database.read() as connection:
        assert Ledger(connection).status(alice.account_id, "calendar").status == "Unauthorized"  # type: ignore[union-attr]
        (waiting,) = SignInStates(connection).waiting()
    assert (waiting.account.mailbox, waiting.state.state, waiting.state.response_code) == (
        ALICE,
        "refused",
        "AADSTS50173",
    )
    asked = office.asked_for_tokens()
    forget_tokens()
    (again,) = Fleet(office.workspace).run([alice]).results
    assert (again.error.response_code, office.asked_for_tokens()) == ("AADSTS50173", asked)  # type: ignore[union-attr]
    office.sign_in(alice)
    with office.workspace.database.read() as connection:
        assert Ledger(connection).status(alice.account_id, "calendar").status == "Unattempted"  # type: ignore[union-attr]
        assert SignInStates(connection).waiting() == []
    assert Fleet(office.workspace).run([alice]).all_well


@pytest.mark.req("A9")
def test_what_an_administrator_mends_is_tried_in_each_cycle(make: Make, sandbox: Sandbox) -> None:
    """A policy that blocks the refresh is asked about once a cycle for all accounts; when it is lifted, the sync goes on by itself."""
    office = make(access="impersonation")
    service = office.add(SERVICE, is_impersonation_account=True, calendar=False)
    accounts = [office.add(address) for address in (ALICE, BOB, CAROL)]
    sandbox.directory.members.policy.access_token_seconds = 50
    office.sign_in(service)
    sandbox.directory.members.policy.access_token_seconds = 3600
    rule = sandbox.faults.add({"operation": "Token", "fault": {"aadsts": 53003}})
    asked = office.asked_for_tokens()
    run = Fleet(office.workspace).run(accounts, threads=3)
    assert {result.error.response_code for result in run.results if result.error} == {"AADSTS53003"}
    assert office.asked_for_tokens() == asked + 1
    assert office.state(service).state == "refused"
    sandbox.faults.clear()
    forget_tokens()
    assert Fleet(office.workspace).run(accounts).all_well
    assert office.state(service).state == "signed-in"
    assert rule


@pytest.mark.req("A9")
@pytest.mark.parametrize(
    "fault", [{"status": 503}, {"drop": "before"}, {"status": 429, "body": '{"error": "temporarily_unavailable"}'}]
)
def test_a_directory_that_is_away(make: Make, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """A directory that fails is no refusal: nothing is asked of anybody, the status waits for four tries, and the next cycle goes on."""
    office = make()
    alice = office.add(ALICE)
    sandbox.directory.members.policy.access_token_seconds = 50
    office.sign_in(alice)
    sandbox.directory.members.policy.access_token_seconds = 3600
    sandbox.faults.add({"operation": "Token", "fault": fault})
    (result,) = Fleet(office.workspace, sleep=lambda seconds: None).run([alice]).results
    assert result.outcome == "failed"
    assert isinstance(result.error, Unreachable | ServerFailed | ServerBusy)
    with office.workspace.database.read() as connection:
        assert Ledger(connection).status(alice.account_id, "calendar").status == "Unattempted"  # type: ignore[union-attr]
    assert office.state(alice).state == "signed-in"
    sandbox.faults.clear()
    forget_tokens()
    assert Fleet(office.workspace).run([alice]).all_well


def test_a_directory_that_is_away_for_a_moment(make: Make, sandbox: Sandbox) -> None:
    """While the present token still serves, a directory that cannot be asked now stops nobody."""
    office = make()
    alice = office.add(ALICE)
    sandbox.directory.members.policy.access_token_seconds = 65
    office.sign_in(alice)
    mailbox = office.workspace.open_mailbox(office.host, alice)
    mailbox.changes(Kind.EVENT)
    credentials = mailbox._transport._protocol.credentials
    credentials._clock = lambda: time.time() + 30
    sandbox.faults.add({"operation": "Token", "fault": {"drop": "before"}})
    assert mailbox.changes(Kind.EVENT).sync_state


def test_a_directory_that_drips_is_not_waited_for(
    make: Make, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A directory that never finishes its answer costs one time limit for all threads, not one each."""
    monkeypatch.setattr("ops_lib.mailbox.ews.oauth.WHOLE_TIMEOUT_SECONDS", 0.5)
    office = make(auth="oauth-device", client_id=sandbox.public_app.client_id, secret="")
    app = replace(office.access.app(office.host), ca_bundle="")
    dripping = threading.Event()

    def drip(url: str, **options: Any) -> Any:
        dripping.wait(20)

    client = _Bounded(SimpleNamespace(get=drip, post=drip, close=lambda: None))  # type: ignore[arg-type]
    with pytest.raises(Unreachable, match="does not answer in time"):
        asked(app, ALICE, lambda: client.get("https://x.example"))
    dripping.set()


def test_the_next_thread_does_not_wait_as_well(tmp_path: Path) -> None:
    """After a failure of the directory the threads that waited are told the same at once; a little later it is asked again."""
    now = [1000.0]
    vault = Vault(tmp_path, {KEY_VARIABLE: Key.new().text()})
    app = App("https://127.0.0.1:1/t", True, "client", "")
    tokens.keep(vault, app, ALICE, "{}")
    source = tokens.UserTokens(vault, app, ALICE, clock=lambda: now[0])
    asked: list[str] = []

    def refuse(cache: Any) -> dict[str, Any]:
        asked.append("")
        raise requests.ConnectionError

    source._refreshed = refuse  # type: ignore[method-assign]
    for seconds, times_asked in ((0, 1), (5, 1), (10, 2)):
        now[0] = 1000.0 + seconds
        with pytest.raises(Unreachable):
            source.token(ALICE)
        assert len(asked) == times_asked


def times(day: int) -> dict[str, Any]:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1 + day)
    return {"calendar:Start": start, "calendar:End": start + timedelta(hours=1)}


def certificate() -> tuple[str, str]:
    """A private key and a certificate of its own, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "syncops")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), made.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.req("A9")
@pytest.mark.parametrize("number", AADSTS)
def test_what_the_directory_refuses_is_explained(office_with_app: tuple[Office, Account], number: str) -> None:
    """Each code, produced by a directory over HTTPS and met by the real MSAL, arrives as its row of the table; no mailbox is asked."""
    office, alice = office_with_app
    oauth._sources.clear()  # MSAL gives the same refusal again for a minute without asking
    office.sandbox.faults.add({"operation": "Token", "fault": {"aadsts": int(number)}})
    with pytest.raises(MailboxError) as caught:
        read(office, alice)
    office.sandbox.faults.clear()
    close_connections()
    error = caught.value
    assert (error.response_code, error.message, error.fix) == (
        f"AADSTS{number}",
        AADSTS[number].meaning,
        AADSTS[number].fix,
    )
    assert office.sandbox.requests.total() == 0


@pytest.fixture
def office_with_app(make: Make) -> tuple[Office, Account]:
    office = make(auth="oauth-app", access="impersonation", redirect_uri=None)
    return office, office.add(ALICE)
