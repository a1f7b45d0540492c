"""What is entered for a host is checked when it is entered, with the reason and the mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_lib.access import checks
from ops_lib.errors import InputError

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    "url",
    [
        "https://outlook.office365.com/EWS/Exchange.asmx",
        "https://mail.example.test/ews/exchange.ASMX",
        "https://mail.example.test:8443/EWS/Exchange.asmx",
        "http://127.0.0.1:8080/EWS/Exchange.asmx",
        "http://[::1]:8080/EWS/Exchange.asmx",
        "http://localhost/EWS/Exchange.asmx",
    ],
)
def test_an_address_of_exchange_is_taken(url: str) -> None:
    """https anywhere and plain http on this machine are taken as they are, the white space around them off."""
    assert checks.ews_url(f" {url} ") == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://mail.example.test/EWS/Exchange.asmx", "in clear"),
        ("http://127.0.0.1.example.test/EWS/Exchange.asmx", "in clear"),
        ("https://mail.example.test/owa", "does not end in .asmx"),
        ("https://mail.example.test/EWS/Exchange.asmx?wsdl", "does not end in .asmx"),
        ("mail.example.test/EWS/Exchange.asmx", "no http or https URL"),
        ("ftp://mail.example.test/Exchange.asmx", "no http or https URL"),
        ("https:///EWS/Exchange.asmx", "no http or https URL"),
        ("https://mail.example.test:port/Exchange.asmx", "no URL"),
        ("https://[::1/Exchange.asmx", "no URL"),
        ("", "no http or https URL"),
    ],
)
def test_an_address_that_cannot_be_says_why(url: str, words: str) -> None:
    """A URL that is not encrypted, no EWS address, or no URL is refused with the reason and the mend."""
    with pytest.raises(InputError, match=words) as caught:
        checks.ews_url(url)
    assert caught.value.fix


@pytest.mark.req("R9")
def test_a_password_in_a_url_is_not_repeated() -> None:
    """A URL that holds a password is refused without showing it."""
    with pytest.raises(InputError) as caught:
        checks.ews_url("https://svc:hunter2@mail.example.test/EWS/Exchange.asmx")
    assert "hunter2" not in str(caught.value)


def test_ids_are_guids() -> None:
    """Tenant and client ids are taken in the portal's form only, and kept in lower case."""
    assert checks.guid(GUID.upper(), "tenant id") == GUID
    for wrong in ("contoso.example", "", GUID.replace("-", ""), GUID + "0", "{" + GUID + "}"):
        with pytest.raises(InputError, match="no tenant id"):
            checks.guid(wrong, "tenant id")


def test_a_secret_s_id_is_not_its_value() -> None:
    """A GUID pasted as the client secret is the secret's id: refused, with where the value stands."""
    with pytest.raises(InputError, match="id of a client secret") as caught:
        checks.client_secret(GUID)
    assert "Value" in str(caught.value)
    checks.client_secret("Zx8Q~abcdefghijklmnopqrstuvwxyz01234567")


@pytest.mark.req("H1")
def test_every_exchange_version_of_the_form_is_known() -> None:
    """The five versions are taken in the spellings people use; others are refused with the list."""
    spelt = {
        "2013": "2013",
        "exchange 2016": "2016",
        "2019": "2019",
        "se": "SE",
        "office365": "Office 365",
        "O365": "Office 365",
    }
    assert {each: checks.version(each) for each in spelt} == spelt
    with pytest.raises(InputError, match="2010 is no Exchange version") as caught:
        checks.version("2010")
    assert all(each in str(caught.value) for each in checks.VERSIONS)


def test_a_ca_bundle_is_a_file_of_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle is kept by its full path; one that is missing or holds no certificate is refused."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (tmp_path / "ca.der").write_bytes(b"\x30\x82")
    monkeypatch.chdir(tmp_path)
    assert checks.ca_bundle("ca.pem") == str(tmp_path / "ca.pem")
    for name, words in (("missing.pem", "cannot be read"), ("ca.der", "no certificate in PEM form")):
        with pytest.raises(InputError, match=words):
            checks.ca_bundle(name)


def test_an_authority_is_encrypted() -> None:
    """Tokens come over https, with the tenant's path or without."""
    assert checks.authority_url("https://login.microsoftonline.us/") == "https://login.microsoftonline.us"
    assert checks.authority_url("https://127.0.0.1:8443/tenant") == "https://127.0.0.1:8443/tenant"
    for wrong in (
        "http://login.example.test",
        "login.example.test",
        "https://",
        "https://[::1",
        "https://login.example.test:99999",
        "https://login.example.test/tenant/oauth2/v2.0/token",
        "https://login.example.test/the tenant",
    ):
        with pytest.raises(InputError, match="no authority"):
            checks.authority_url(wrong)


@pytest.mark.parametrize("path", ["common", "organizations/", "Consumers"])
def test_an_authority_is_of_one_tenant(path: str) -> None:
    """The addresses where people of every tenant sign in are refused: any of them could say to be somebody."""
    with pytest.raises(InputError, match="every tenant"):
        checks.authority_url(f"https://login.microsoftonline.com/{path}")
