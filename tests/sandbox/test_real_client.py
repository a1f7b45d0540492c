"""exchangelib, unchanged, against the sandbox: signing in each way, over HTTP and HTTPS, with faults as it meets them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import exchangelib
import msal
import pytest
import requests
from exchangelib.errors import (
    ErrorImpersonateUserDenied,
    ErrorMailboxStoreUnavailable,
    ErrorServerBusy,
    ErrorTimeoutExpired,
    MalformedResponseError,
    UnauthorizedError,
)
from exchangelib.protocol import BaseProtocol
from oauthlib.oauth2 import OAuth2Token

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, SERVICE, outlook_account

START = datetime(2026, 11, 24, 15, tzinfo=UTC)
VERSION = exchangelib.Version(exchangelib.Build(15, 1, 2507, 39), api_version="Exchange2016")


@pytest.fixture
def trusted(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """exchangelib's connections trust the sandbox's CA and heed nothing of the environment."""
    ca_file = str(sandbox.ca_file)

    class Trusting(requests.adapters.HTTPAdapter):
        def cert_verify(self, connection: Any, url: str, verify: Any, cert: Any) -> None:
            super().cert_verify(connection, url, ca_file, cert)

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", Trusting)
    yield
    exchangelib.close_connections()


def event(account: Any, subject: str = "Tour") -> Any:
    """An event of one hour in the account's calendar, saved."""
    item = exchangelib.CalendarItem(
        folder=account.calendar, subject=subject, start=START, end=START + timedelta(hours=1)
    )
    return item.save()


def test_own_mailbox_by_password(sandbox: Sandbox) -> None:
    """A user reads and writes their own calendar: create, change, read again, delete."""
    account = outlook_account(sandbox, ALICE)
    item = event(account)
    item.subject = "Moved"
    item.start += timedelta(hours=1)
    item.end += timedelta(hours=1)
    item.save(update_fields=["subject", "start", "end"])
    (read,) = account.calendar.view(start=START, end=START + timedelta(days=1))
    assert (read.subject, read.start) == ("Moved", START + timedelta(hours=1))
    read.delete()
    assert list(account.calendar.view(start=START, end=START + timedelta(days=1))) == []


def test_impersonation(sandbox: Sandbox) -> None:
    """The service account writes into a user's calendar, and the log counts it for that mailbox."""
    event(outlook_account(sandbox, BOB, through=SERVICE))
    assert sandbox.requests.total("CreateItem", BOB) == 1
    (item,) = sandbox.organisation.mailbox(BOB).folder("calendar").items.values()
    assert item.values["item:Subject"] == "Tour"


def test_impersonation_refused(sandbox: Sandbox) -> None:
    """Without the grant exchangelib raises ErrorImpersonateUserDenied."""
    sandbox.organisation.revoke_impersonation(SERVICE)
    with pytest.raises(ErrorImpersonateUserDenied):
        event(outlook_account(sandbox, BOB, through=SERVICE))


def test_wrong_password(sandbox: Sandbox) -> None:
    """A wrong password is one request and an UnauthorizedError."""
    sandbox.organisation.set_password(ALICE, "changed")
    with pytest.raises(UnauthorizedError):
        event(outlook_account(sandbox, ALICE))
    assert sandbox.requests.document()["operations"] == {"(refused)": 1}


def test_finds_out_how_to_sign_in(sandbox: Sandbox) -> None:
    """Told nothing of authentication and version, exchangelib finds both out from the challenges and answers."""
    configuration = exchangelib.Configuration(
        service_endpoint=sandbox.ews_url,
        credentials=exchangelib.Credentials(ALICE, sandbox.passwords[ALICE]),
        retry_policy=exchangelib.FailFast(),
    )
    account = exchangelib.Account(ALICE, config=configuration, autodiscover=False, access_type=exchangelib.DELEGATE)
    event(account)
    assert account.protocol.auth_type == exchangelib.BASIC
    assert account.version.build.major_version == 15


def test_https(sandbox: Sandbox, trusted: None) -> None:
    """Over HTTPS with the sandbox's CA everything is the same."""
    configuration = exchangelib.Configuration(
        service_endpoint=sandbox.ews_url_https,
        credentials=exchangelib.Credentials(ALICE, sandbox.passwords[ALICE]),
        auth_type=exchangelib.BASIC,
        version=VERSION,
        retry_policy=exchangelib.FailFast(),
    )
    account = exchangelib.Account(ALICE, config=configuration, autodiscover=False, access_type=exchangelib.DELEGATE)
    assert event(account).id
    assert sandbox.requests.total("CreateItem", ALICE) == 1


@pytest.mark.req("H4")
def test_oauth_by_client_credentials(sandbox: Sandbox, trusted: None) -> None:
    """An application signs in through MSAL with its secret and acts in a mailbox by impersonation, over HTTPS."""
    with requests.Session() as http_session:
        http_session.trust_env = False
        http_session.verify = str(sandbox.ca_file)
        app = msal.ConfidentialClientApplication(
            sandbox.app.client_id,
            client_credential=sandbox.app.secret,
            authority=f"{sandbox.entra_url}/{sandbox.directory.tenant_id}",
            instance_discovery=False,
            http_client=http_session,
        )
        answer = app.acquire_token_for_client(["https://outlook.office365.com/.default"])
    token = OAuth2Token({**answer, "expires_at": time.time() + answer["expires_in"]})
    configuration = exchangelib.Configuration(
        service_endpoint=sandbox.ews_url_https,
        credentials=exchangelib.OAuth2AuthorizationCodeCredentials(access_token=token),
        auth_type=exchangelib.OAUTH2,
        version=VERSION,
        retry_policy=exchangelib.FailFast(),
    )
    account = exchangelib.Account(BOB, config=configuration, autodiscover=False, access_type=exchangelib.IMPERSONATION)
    assert event(account).id
    assert sandbox.requests.total("CreateItem", BOB) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 401}, UnauthorizedError),
        (
            {"status": 403, "headers": {"X-EWS-Policy-Reason": "EWS is disabled for this user or tenant"}},
            MalformedResponseError,
        ),
        ({"status": 429, "headers": {"Retry-After": "1"}}, MalformedResponseError),
        ({"status": 500}, ErrorServerBusy),
        ({"status": 503}, ErrorServerBusy),
        ({"soap_fault": "ErrorServerBusy", "back_off_milliseconds": 1500}, ErrorServerBusy),
        ({"response_code": "ErrorMailboxStoreUnavailable"}, ErrorMailboxStoreUnavailable),
        ({"drop": "before"}, ErrorTimeoutExpired),
        ({"drop": "after"}, ErrorTimeoutExpired),
    ],
)
def test_faults_as_the_client_meets_them(sandbox: Sandbox, fault: dict[str, Any], error: type[Exception]) -> None:
    """Each fault reaches exchangelib as the exception a real server's would raise."""
    account = outlook_account(sandbox, ALICE)
    calendar = account.calendar
    sandbox.faults.add({"operation": "CreateItem", "fault": fault})
    with pytest.raises(error) as raised:
        exchangelib.CalendarItem(folder=calendar, subject="x", start=START, end=START + timedelta(hours=1)).save()
    if fault.get("back_off_milliseconds"):
        assert raised.value.back_off == 1.5  # type: ignore[attr-defined]
    if "headers" in fault and fault["status"] == 403:
        assert "EWS is disabled for this user or tenant" in str(raised.value)
