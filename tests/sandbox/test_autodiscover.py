"""Autodiscover as clients ask for it: in plain XML and in SOAP, with redirects and errors."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from lxml import etree

from ops_lib.sandbox.autodiscover import NAMESPACE, OUTLOOK, REQUEST, RESPONSE
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB
from tests.support.soap import SOAP, session

ALIAS = "a.archer@example.test"


def where(sandbox: Sandbox, ending: str) -> str:
    """The address of one of the two forms."""
    return str(sandbox.document()["autodiscover_url"]).replace("autodiscover.xml", f"autodiscover.{ending}")


def pox(sandbox: Sandbox, address: str, schema: str = OUTLOOK) -> Any:
    """What the plain form answers about an address."""
    body = (
        f'<Autodiscover xmlns="{REQUEST}"><Request><EMailAddress>{address}</EMailAddress>'
        f"<AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
    )
    answer = session(sandbox, BOB).post(where(sandbox, "xml"), data=body.encode(), timeout=10)
    assert answer.status_code == 200
    return etree.fromstring(answer.content)


def soap(sandbox: Sandbox, body: str) -> requests.Response:
    """What the SOAP form answers to this body."""
    wrapped = f'<s:Envelope xmlns:s="{SOAP}" xmlns:a="{NAMESPACE}"><s:Body>{body}</s:Body></s:Envelope>'
    return session(sandbox, BOB).post(where(sandbox, "svc"), data=wrapped.encode(), timeout=10)


def get_user_settings(*addresses: str, settings: tuple[str, ...] = ("ExternalEwsUrl",)) -> str:
    """The body of GetUserSettings."""
    users = "".join(f"<a:User><a:Mailbox>{one}</a:Mailbox></a:User>" for one in addresses)
    names = "".join(f"<a:Setting>{one}</a:Setting>" for one in settings)
    return (
        f"<a:GetUserSettingsRequestMessage><a:Request><a:Users>{users}</a:Users>"
        f"<a:RequestedSettings>{names}</a:RequestedSettings></a:Request></a:GetUserSettingsRequestMessage>"
    )


def texts(document: Any, name: str) -> list[str]:
    """The texts of all elements of this name."""
    return [one.text or "" for one in document.iter(f"{{*}}{name}")]


@pytest.mark.req("H6")
def test_settings_in_plain_form(sandbox: Sandbox) -> None:
    """The plain form gives the EWS URL and the mailbox's primary address, also when asked by an alias or in capitals."""
    sandbox.organisation.add_mailbox("anna@example.test", password="x", name="Anna & Co", zone="UTC", aliases=[ALIAS])
    for asked in ("anna@example.test", ALIAS, "ANNA@example.test"):
        document = pox(sandbox, asked)
        assert texts(document, "Action") == ["settings"]
        assert set(texts(document, "EwsUrl")) == {sandbox.ews_url_https}
        assert texts(document, "AutoDiscoverSMTPAddress") == ["anna@example.test"]
        assert texts(document, "DisplayName") == ["Anna & Co"]


@pytest.mark.parametrize("path", ["/Autodiscover/Autodiscover.xml", "/AUTODISCOVER/AUTODISCOVER.XML"])
def test_the_path_in_any_case(sandbox: Sandbox, path: str) -> None:
    """The path is read in any case, and nothing is said to who has not signed in."""
    with requests.Session() as nobody:
        nobody.trust_env = False
        answer = nobody.post(sandbox.ews_url.replace("/EWS/Exchange.asmx", path), data=b"<x/>")
    assert answer.status_code == 401
    assert "Basic" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize(
    ("address", "schema", "code"),
    [
        ("nobody@example.test", OUTLOOK, "500"),
        ("", OUTLOOK, "600"),
        ("no address", OUTLOOK, "600"),
        (ALICE, "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/responseschema/2006", "601"),
    ],
)
def test_errors_in_plain_form(sandbox: Sandbox, address: str, schema: str, code: str) -> None:
    """An address nobody has is 500, no address 600, a form of answer that is not spoken 601: with HTTP 200, as documented."""
    document = pox(sandbox, address, schema)
    assert texts(document, "ErrorCode") == [code]
    assert document.find(f"{{{RESPONSE}}}Response/{{{RESPONSE}}}Error") is not None


@pytest.mark.parametrize("body", [b"", b"no XML", b"<Autodiscover/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'])
def test_what_is_no_request(sandbox: Sandbox, body: bytes) -> None:
    """What cannot be read is error 600 in the plain form and a fault in the other."""
    bob = session(sandbox, BOB)
    assert b"<ErrorCode>600</ErrorCode>" in bob.post(where(sandbox, "xml"), data=body).content
    assert bob.post(where(sandbox, "svc"), data=body).status_code == 500
    assert bob.get(where(sandbox, "svc")).status_code == 405


@pytest.mark.req("H6")
def test_settings_in_soap(sandbox: Sandbox) -> None:
    """GetUserSettings answers for each user what there is, and names the settings that there are not."""
    answer = soap(sandbox, get_user_settings(ALICE, "nobody@example.test", settings=("ExternalEwsUrl", "Weather")))
    document = etree.fromstring(answer.content)
    assert texts(document, "ErrorCode") == ["NoError", "NoError", "SettingIsNotAvailable", "InvalidUser"]
    assert texts(document, "Value") == [sandbox.ews_url_https]
    assert texts(document, "SettingName") == ["Weather"]


@pytest.mark.parametrize("body", [get_user_settings(), get_user_settings(ALICE, settings=())])
def test_incomplete_soap(sandbox: Sandbox, body: str) -> None:
    """Without users, or without settings, the whole request is invalid."""
    assert texts(etree.fromstring(soap(sandbox, body).content), "ErrorCode") == ["InvalidRequest"]


def test_redirects(sandbox: Sandbox) -> None:
    """An address that moved is sent on to another address or another URL, in both forms, as the control says; a reset forgets it."""
    there = "https://autodiscover.elsewhere.example/autodiscover/autodiscover.xml"
    control = f"{sandbox.control_url}/autodiscover"
    arranged = {"redirect_addresses": {ALICE: "alice@elsewhere.example"}, "redirect_urls": {BOB: there}}
    assert requests.post(control, json=arranged).json() == {**arranged, "moved_to": ""}
    assert texts(pox(sandbox, ALICE), "Action") == ["redirectAddr"]
    assert texts(pox(sandbox, ALICE), "RedirectAddr") == ["alice@elsewhere.example"]
    assert texts(pox(sandbox, BOB), "RedirectUrl") == [there]
    document = etree.fromstring(soap(sandbox, get_user_settings(ALICE, BOB)).content)
    assert texts(document, "ErrorCode") == ["NoError", "RedirectAddress", "RedirectUrl"]
    assert texts(document, "RedirectTarget") == ["alice@elsewhere.example", there]
    sandbox.reset()
    assert requests.get(control).json() == {"redirect_addresses": {}, "redirect_urls": {}, "moved_to": ""}


@pytest.mark.parametrize(
    "document",
    [
        {"moved_to": 5},
        {"moved_to": "elsewhere"},
        {"moved_to": "https://elsewhere.example/\r\nSet-Cookie: a=b"},
        {"moved_to": "https://[elsewhere"},
        {"redirect_urls": {ALICE: "elsewhere"}},
        {"redirect_addresses": {ALICE: "elsewhere"}},
        {"redirect_addresses": [ALICE]},
        {"colour": "blue"},
    ],
)
def test_arrangements_that_cannot_be(sandbox: Sandbox, document: dict[str, Any]) -> None:
    """An arrangement that cannot be is refused with the reason and the mend."""
    answer = requests.post(f"{sandbox.control_url}/autodiscover", json=document)
    assert answer.status_code == 400
    assert answer.json()["fix"]


def test_the_unsigned_request(sandbox: Sandbox) -> None:
    """A GET over HTTP is sent on without a sign-in where the control says so, and is 401 otherwise."""
    there = "https://mail.example.test/autodiscover/autodiscover.xml"
    url = sandbox.ews_url.replace("/EWS/Exchange.asmx", "/autodiscover/autodiscover.xml")
    assert requests.get(url, allow_redirects=False).status_code == 401
    requests.post(f"{sandbox.control_url}/autodiscover", json={"moved_to": there})
    answer = requests.get(url, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (302, there)


def test_exchangelib(sandbox: Sandbox) -> None:
    """exchangelib's own reading of GetUserSettings finds the EWS URL here."""
    from exchangelib import BASIC, Build, Configuration, Credentials, FailFast, Version
    from exchangelib.autodiscover.protocol import AutodiscoverProtocol

    protocol = AutodiscoverProtocol(
        config=Configuration(
            service_endpoint=where(sandbox, "svc")
            .replace("https:", "http:")
            .replace(sandbox.entra_url.split("//")[1], sandbox.ews_url.split("/")[2]),
            credentials=Credentials(ALICE, sandbox.passwords[ALICE]),
            auth_type=BASIC,
            version=Version(Build(15, 1)),
            retry_policy=FailFast(),
        )
    )
    try:
        found = protocol.get_user_settings(user=ALICE, settings=["external_ews_url", "auto_discover_smtp_address"])
    finally:
        protocol.close()
    assert (found.ews_url, found.autodiscover_smtp_address) == (sandbox.ews_url_https, ALICE)
