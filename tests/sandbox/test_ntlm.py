"""NTLM as real clients speak it (pyspnego through requests_ntlm, exchangelib, curl), and what locks an account."""

from __future__ import annotations

import base64
import http.client
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
import spnego
from requests_ntlm import HttpNtlmAuth

from ops_lib.errors import InputError
from ops_lib.sandbox.people_file import read_people
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, SERVICE
from tests.support.soap import XML, codes, envelope, get_folder, session


def by_ntlm(sandbox: Sandbox, login: str, password: str) -> requests.Session:
    """An HTTP session that signs in by NTLM."""
    made = requests.Session()
    made.trust_env = False
    made.verify = str(sandbox.ca_file)
    made.auth = HttpNtlmAuth(login, password)
    made.headers.update(XML)
    return made


class Wire:
    """One TCP connection, spoken to message by message."""

    def __init__(self, sandbox: Sandbox) -> None:
        parts = urlsplit(sandbox.ews_url)
        self.connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
        self.socket: object = None

    def post(self, authorization: str = "") -> tuple[int, list[str]]:
        """One request: status and what the answer offers."""
        headers = {**XML, "Authorization": authorization} if authorization else XML
        self.connection.request("POST", "/EWS/Exchange.asmx", envelope(get_folder()), headers)
        if self.socket is None:
            self.socket = self.connection.sock
        assert self.connection.sock is self.socket, "the connection was not kept"
        answer = self.connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get_all("WWW-Authenticate") or []

    def sign_in(self, login: str, password: str, scheme: str = "NTLM", protocol: str = "ntlm") -> tuple[int, list[str]]:
        """The whole exchange: the answer to its last message."""
        client = spnego.client(
            login, password, protocol=protocol, options=spnego.NegotiateOptions.use_ntlm if protocol == "ntlm" else 0
        )
        first = base64.b64encode(client.step() or b"").decode()
        status, offered = self.post(f"{scheme} {first}")
        assert (status, len(offered)) == (401, 1)
        assert offered[0].startswith(f"{scheme} ")
        answer = client.step(base64.b64decode(offered[0].split()[1])) or b""
        return self.post(f"{scheme} {base64.b64encode(answer).decode()}")


@pytest.mark.req("H4")
@pytest.mark.parametrize("login", [ALICE, "alice", "EXAMPLE\\alice", "ALICE@EXAMPLE.TEST"])
@pytest.mark.parametrize("secure", [False, True])
def test_right_password(sandbox: Sandbox, login: str, secure: bool) -> None:
    """NTLM signs in by address, bare name or DOMAIN\\name, over HTTP and (with channel bindings) over HTTPS."""
    url = sandbox.ews_url_https if secure else sandbox.ews_url
    answer = by_ntlm(sandbox, login, sandbox.passwords[ALICE]).post(url, data=envelope(get_folder()))
    assert (answer.status_code, codes(answer)) == (200, ["NoError"])
    assert sandbox.attempts.count(ALICE, "accepted", "ntlm") == 1


@pytest.mark.req("H4")
def test_the_service_account_impersonates(sandbox: Sandbox) -> None:
    """Who came in by NTLM has the same rights as by Basic: the service account may act for a user, others may not."""
    body = envelope(get_folder(), acting_as=ALICE)
    granted = by_ntlm(sandbox, SERVICE, sandbox.passwords[SERVICE]).post(sandbox.ews_url, data=body)
    assert codes(granted) == ["NoError"]
    denied = by_ntlm(sandbox, BOB, sandbox.passwords[BOB]).post(sandbox.ews_url, data=body)
    assert codes(denied) == ["ErrorImpersonateUserDenied"]


def test_exchangelib(sandbox: Sandbox) -> None:
    """exchangelib finds out by itself that NTLM is offered and opens a mailbox with it."""
    from exchangelib import DELEGATE, NTLM, Account, Configuration, Credentials, FailFast

    configuration = Configuration(
        service_endpoint=sandbox.ews_url,
        credentials=Credentials("EXAMPLE\\alice", sandbox.passwords[ALICE]),  # not those of another test: it caches
        retry_policy=FailFast(),
    )
    account = Account(ALICE, config=configuration, autodiscover=False, access_type=DELEGATE)
    assert account.calendar.name == "Calendar"
    assert account.protocol.auth_type == NTLM


def test_curl(sandbox: Sandbox, tmp_path: Path) -> None:
    """curl's own NTLM, which is nobody's here, gets in."""
    curl = shutil.which("curl")
    if curl is None or "NTLM" not in subprocess.run([curl, "-V"], capture_output=True, text=True).stdout:
        pytest.skip("there is no curl with NTLM on this machine")
    settings = tmp_path / "curl"
    settings.write_text(f'user = "EXAMPLE\\\\alice:{sandbox.passwords[ALICE]}"\n', encoding="utf-8")
    body = tmp_path / "body"
    body.write_bytes(envelope(get_folder()))
    command = [curl, "-sS", "--noproxy", "*", "--ntlm", "-K", str(settings), "-H", "Content-Type: text/xml"]
    ran = subprocess.run(
        [*command, "--data-binary", f"@{body}", sandbox.ews_url], capture_output=True, text=True, timeout=20
    )
    assert "NoError" in ran.stdout, ran.stderr


def test_the_connection_is_signed_in(sandbox: Sandbox) -> None:
    """After the exchange every request on the connection is the account's, without a header; another connection is nobody's."""
    wire = Wire(sandbox)
    assert wire.sign_in(ALICE, sandbox.passwords[ALICE])[0] == 200
    assert [wire.post()[0] for _ in range(3)] == [200, 200, 200]
    assert Wire(sandbox).post()[0] == 401
    assert sandbox.attempts.count(ALICE) == 1
    assert sandbox.requests.document()["operations"] == {"(challenge)": 1, "(refused)": 1, "GetFolder": 4}


def test_another_user_on_the_same_connection(sandbox: Sandbox) -> None:
    """A new exchange on a connection signs it in anew; a failed one leaves nobody signed in."""
    wire = Wire(sandbox)
    wire.sign_in(ALICE, sandbox.passwords[ALICE])
    assert wire.sign_in(BOB, sandbox.passwords[BOB])[0] == 200
    assert wire.post()[0] == 200
    assert sandbox.requests.total("GetFolder", BOB) == 2
    assert wire.sign_in(BOB, "wrong")[0] == 401
    assert wire.post()[0] == 401


def test_a_reset_signs_out(sandbox: Sandbox) -> None:
    """A connection that was signed in before a reset is nobody's after it."""
    wire = Wire(sandbox)
    wire.sign_in(ALICE, sandbox.passwords[ALICE])
    sandbox.reset()
    assert wire.post()[0] == 401


def test_the_answer_belongs_to_the_connection(sandbox: Sandbox) -> None:
    """The second half on another connection than the first, as a proxy that spreads requests makes it, is refused."""
    client = spnego.client(ALICE, sandbox.passwords[ALICE], protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    first = base64.b64encode(client.step() or b"").decode()
    _, offered = Wire(sandbox).post(f"NTLM {first}")
    answer = base64.b64encode(client.step(base64.b64decode(offered[0].split()[1])) or b"").decode()
    status, offered = Wire(sandbox).post(f"NTLM {answer}")
    assert status == 401
    assert "NTLM" in offered
    assert sandbox.attempts.count(ALICE) == 0


def test_an_answer_is_good_once(sandbox: Sandbox) -> None:
    """An AUTHENTICATE message heard on the wire opens nothing when it is sent again."""
    wire = Wire(sandbox)
    client = spnego.client(ALICE, sandbox.passwords[ALICE], protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    first = base64.b64encode(client.step() or b"").decode()
    _, offered = wire.post(f"NTLM {first}")
    answer = base64.b64encode(client.step(base64.b64decode(offered[0].split()[1])) or b"").decode()
    assert wire.post(f"NTLM {answer}")[0] == 200
    assert wire.post(f"NTLM {answer}")[0] == 401
    assert wire.post(f"NTLM {first}")[0] == 401
    assert wire.post(f"NTLM {answer}")[0] == 401


@pytest.mark.parametrize("login", [ALICE, "nobody@example.test"])
def test_wrong_password(sandbox: Sandbox, login: str) -> None:
    """A wrong password, or nobody's, is a 401 that offers every way again, and counts as one try."""
    status, offered = Wire(sandbox).sign_in(login, "wrong")
    assert status == 401
    assert [one.split()[0] for one in offered] == ["NTLM", "Basic", "Bearer"]
    assert sandbox.attempts.count(login, "refused", "ntlm") == 1


@pytest.mark.parametrize(
    "authorization",
    [
        "NTLM",
        "NTLM %%%",
        "NTLM " + base64.b64encode(b"NTLMSSP\x00").decode(),
        "NTLM " + base64.b64encode(b"NTLMSSP\x00\x01\x00\x00\x00").decode(),
        "NTLM " + base64.b64encode(b"NTLMSSP\x00\x03\x00\x00\x00" + b"\xff" * 80).decode(),
        "NTLM " + base64.b64encode(b"NTLMSSP\x00\x02\x00\x00\x00" + b"\x00" * 60).decode(),
        "Negotiate YII=",
    ],
)
def test_what_is_no_ntlm(sandbox: Sandbox, authorization: str) -> None:
    """What cannot be read as the message that is due, before or after a challenge, is a plain 401."""
    sandbox.gate.offers = ("negotiate", "ntlm")
    wire = Wire(sandbox)
    assert wire.post(authorization) == (401, ["Negotiate", "NTLM"])
    client = spnego.client(ALICE, "x", protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    wire.post("NTLM " + base64.b64encode(client.step() or b"").decode())
    assert wire.post(authorization) == (401, ["Negotiate", "NTLM"])


@pytest.mark.parametrize("protocol", ["ntlm", "negotiate"])
def test_negotiate(sandbox: Sandbox, protocol: str) -> None:
    """Under Negotiate, NTLM comes bare or inside SPNEGO; both get in where Negotiate is offered."""
    sandbox.gate.offers = ("negotiate",)
    wire = Wire(sandbox)
    assert wire.sign_in(ALICE, sandbox.passwords[ALICE], "Negotiate", protocol)[0] == 200
    assert wire.post()[0] == 200
    assert Wire(sandbox).sign_in(ALICE, "wrong", "Negotiate", protocol)[0] == 401


def test_only_what_is_offered(sandbox: Sandbox) -> None:
    """What the control says is offered, in its order; a way that is not offered is refused with the right password too."""
    control = f"{sandbox.control_url}/sign-in"
    assert requests.post(control, json={"offers": ["NTLM", "Negotiate", "Basic"]}).json() == {
        "offers": ["ntlm", "negotiate", "basic"]
    }
    assert Wire(sandbox).post()[1] == ["NTLM", "Negotiate", 'Basic realm="sandbox"']
    requests.post(control, json={"offers": ["ntlm"]})
    assert session(sandbox).post(sandbox.ews_url, data=envelope(get_folder())).status_code == 401
    assert sandbox.attempts.count(ALICE) == 0
    refused = requests.post(control, json={"offers": ["kerberos"]})
    assert (refused.status_code, requests.get(control).json()) == (400, {"offers": ["ntlm"]})


@pytest.mark.req("H4")
def test_lock_out(sandbox: Sandbox) -> None:
    """Wrong passwords count over every way in; at the limit the account is locked, and unlocking lets the right one in again."""
    sandbox.attempts.lock_after = 3
    body = envelope(get_folder())
    for _ in range(2):
        by_ntlm(sandbox, ALICE, "wrong").post(sandbox.ews_url, data=body)
    basic = session(sandbox)
    basic.auth = (ALICE, "wrong")
    basic.post(sandbox.ews_url, data=body)
    right = by_ntlm(sandbox, ALICE, sandbox.passwords[ALICE])
    assert right.post(sandbox.ews_url, data=body).status_code == 401
    assert session(sandbox, BOB).post(sandbox.ews_url, data=body).status_code == 200
    shown = requests.get(f"{sandbox.control_url}/requests").json()["attempts"][ALICE]
    assert shown == {
        "accepted": 0,
        "refused": 3,
        "locked": 1,
        "is_locked": True,
        "by": {"basic": {"refused": 1}, "ntlm": {"refused": 2, "locked": 1}},
    }
    requests.post(f"{sandbox.control_url}/users/{ALICE}", json={"locked": False})
    assert right.post(sandbox.ews_url, data=body).status_code == 200


def test_the_people_file_says_what_is_offered(tmp_path: Path) -> None:
    """A population may name the ways in; one that does not exist is refused with the place named."""
    file = tmp_path / "people.yaml"
    file.write_text("sign_in: [ntlm, basic]\n", encoding="utf-8")
    assert read_people(file).sign_in == ("ntlm", "basic")
    file.write_text("sign_in: [kerberos]\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"people.yaml: sign_in: .*kerberos"):
        read_people(file)
