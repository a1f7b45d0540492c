"""What an administrator turns off: EWS, applications, licences, versions, time zones; and mailboxes that are elsewhere."""

from __future__ import annotations

import pytest
import requests

from ops_lib.sandbox.administration import BLOCKED, DISABLED, POLICY_HEADER
from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE, BOB, SERVICE
from tests.support.soap import envelope, get_folder, session

FOLDER = get_folder()
WHO = '<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>smtp:ida@example.test</m:UnresolvedEntry></m:ResolveNames>'
ZONES = '<m:GetServerTimeZones ReturnFullTimeZoneData="false"><m:Ids><t:Id>W. Europe Standard Time</t:Id></m:Ids></m:GetServerTimeZones>'


def ask(sandbox: Sandbox, login: str, body: str, *, agent: str = "python-test", **options: str) -> requests.Response:
    """What the server answers to one who signs in with a password."""
    asking = session(sandbox, login)
    return asking.post(sandbox.ews_url, data=envelope(body, **options), headers={"User-Agent": agent}, timeout=10)


def turn(sandbox: Sandbox, **switches: object) -> requests.Response:
    return requests.post(f"{sandbox.control_url}/administration", json=switches, timeout=10)


@pytest.mark.parametrize(
    ("switches", "reason"),
    [
        ({"ews_enabled": False}, DISABLED),
        ({"ews_disabled_for": [ALICE]}, DISABLED),
        ({"allowed_apps": []}, BLOCKED),
        ({"blocked_agents": ["Python"]}, BLOCKED),
    ],
)
def test_ews_that_is_closed_is_a_403_with_its_reason(
    sandbox: Sandbox, switches: dict[str, object], reason: str
) -> None:
    """EWS answers 403 with X-EWS-Policy-Reason and an empty body, and works again when it is opened."""
    assert turn(sandbox, **switches).status_code == 200
    refused = ask(sandbox, ALICE, FOLDER)
    assert (refused.status_code, refused.headers[POLICY_HEADER], refused.content) == (403, reason, b"")
    turn(sandbox, ews_enabled=True, ews_disabled_for=[], allowed_apps=None, blocked_agents=[])
    assert ask(sandbox, ALICE, FOLDER).status_code == 200


def test_a_mailbox_that_is_closed_is_closed_alone(sandbox: Sandbox) -> None:
    """EwsEnabled of one mailbox concerns nobody else."""
    turn(sandbox, ews_disabled_for=[ALICE])
    assert ask(sandbox, BOB, FOLDER).status_code == 200


def test_an_allowed_application_is_let_in(sandbox: Sandbox) -> None:
    """Who is on the list gets in, whoever is not does not."""
    turn(sandbox, allowed_apps=[SERVICE])
    assert ask(sandbox, SERVICE, FOLDER, acting_as=ALICE).status_code == 200
    assert ask(sandbox, ALICE, FOLDER).status_code == 403


def test_what_else_can_be_missing_has_its_code(sandbox: Sandbox) -> None:
    """A lost licence, a version that is too new, a time zone that is not there, and a user whose mailbox is elsewhere."""
    turn(sandbox, unlicensed=[ALICE])
    assert "ErrorInvalidLicense" in ask(sandbox, SERVICE, FOLDER, acting_as=ALICE).text
    turn(sandbox, unlicensed=[], newest_version="Exchange2013")
    assert "ErrorInvalidServerVersion" in ask(sandbox, ALICE, FOLDER, version="Exchange2016").text
    turn(sandbox, newest_version="")
    assert "W. Europe" in ask(sandbox, ALICE, ZONES).text
    turn(sandbox, missing_zones=["W. Europe Standard Time"])
    assert "W. Europe" not in ask(sandbox, ALICE, ZONES).text
    assert "ErrorNameResolutionNoResults" in ask(sandbox, ALICE, WHO).text
    turn(sandbox, elsewhere=["ida@example.test"])
    assert "<t:EmailAddress>ida@example.test</t:EmailAddress>" in ask(sandbox, ALICE, WHO).text


@pytest.mark.parametrize(
    "switches",
    [{"ews": True}, {"ews_enabled": "no"}, {"unlicensed": ALICE}, {"newest_version": "2013"}, {"allowed_apps": [1]}],
)
def test_a_switch_that_cannot_be_is_refused(sandbox: Sandbox, switches: dict[str, object]) -> None:
    """What cannot be is a 400 that names the switch, and nothing is turned."""
    before = requests.get(f"{sandbox.control_url}/administration", timeout=10).json()
    refused = turn(sandbox, **switches, elsewhere=["x@example.test"])
    assert refused.status_code == 400
    assert next(iter(switches)) in refused.json()["error"]
    assert requests.get(f"{sandbox.control_url}/administration", timeout=10).json() == before
