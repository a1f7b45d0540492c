"""The device-code flow: a program shows a code, a person enters it elsewhere."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from ops_lib.sandbox.server import Sandbox
from tests.support.browser_forms import Person, Shown
from tests.support.sandbox import ALICE
from tests.support.soap import codes

from .conftest import SCOPE
from .test_authorization_code import Make, ews


def entered(sandbox: Sandbox, flow: dict[str, Any]) -> Shown:
    """What comes of entering the flow's code and signing in."""
    code = flow["user_code"].lower()
    page = Person(sandbox).open(flow["verification_uri"]).send(user_code=f"{code[:4]} {code[4:]}")
    return page.send(username=ALICE, password=sandbox.passwords[ALICE])


def poll(sandbox: Sandbox, http: requests.Session, flow: dict[str, Any], **changed: str) -> dict[str, Any]:
    """One question of the program: is it done?"""
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": flow["device_code"]}
    form |= {"client_id": sandbox.public_app.client_id, **changed}
    return dict(http.post(f"{sandbox.entra_url}/{sandbox.directory.tenant_id}/oauth2/v2.0/token", data=form).json())


@pytest.mark.req("A8")
def test_the_whole_way(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """MSAL waits while a person enters the code, signs in, agrees and confirms; then it has the person's tokens."""
    sandbox.directory.members.policy.device_interval_seconds = 0
    client = public()
    flow = client.initiate_device_flow([SCOPE])
    assert flow["user_code"] in flow["message"]
    assert flow["verification_uri"] in flow["message"]
    results: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: results.append(client.acquire_token_by_device_flow(flow)))
    waiting.start()
    page = entered(sandbox, flow)
    assert page.title == "Permissions requested"
    page = page.send(answer="accept")
    assert page.title == "Are you trying to sign in to Sandbox desktop client?"
    assert page.send(answer="accept").title == "You have signed in to Sandbox desktop client"
    waiting.join(10)
    assert results[0]["id_token_claims"]["preferred_username"] == ALICE
    assert codes(ews(sandbox, http, results[0]["access_token"])) == ["NoError"]


def test_waiting_and_hurrying(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """Before anybody agreed the answer is authorization_pending, and slow_down to who does not keep to the interval."""
    sandbox.directory.members.policy.device_interval_seconds = 3600
    flow = public().initiate_device_flow([SCOPE])
    assert (flow["interval"], flow["expires_in"]) == (3600, 900)
    answers = [poll(sandbox, http, flow) for _ in range(2)]
    assert [one["error"] for one in answers] == ["authorization_pending", "slow_down"]
    assert answers[0]["error_codes"] == [70016]


def test_a_code_that_ran_out(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """After its time the code is expired for the program (70019) and for the person."""
    flow = public().initiate_device_flow([SCOPE])
    sandbox.clock.advance(900)
    answer = poll(sandbox, http, flow)
    assert (answer["error"], answer["error_codes"]) == ("expired_token", [70019])
    assert "AADSTS70019" in Person(sandbox).open(flow["verification_uri"]).send(user_code=flow["user_code"]).text


def _at_consent(page: Shown) -> Shown:
    return page.send(answer="cancel")


def _at_the_end(page: Shown) -> Shown:
    return page.send(answer="accept").send(answer="cancel")


@pytest.mark.parametrize("decline", [_at_consent, _at_the_end])
def test_declined(sandbox: Sandbox, http: requests.Session, public: Make, decline: Callable[[Shown], Shown]) -> None:
    """Whether the person cancels at consent or at the last question, the program is told authorization_declined."""
    flow = public().initiate_device_flow([SCOPE])
    assert decline(entered(sandbox, flow)).title == "You did not sign in"
    assert poll(sandbox, http, flow)["error"] == "authorization_declined"
    assert "AADSTS70018" in Person(sandbox).open(flow["verification_uri"]).send(user_code=flow["user_code"]).text


def test_wrong_codes(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """A device code nobody gave is bad_verification_code; another app's too; a mistyped user code is said on the page."""
    flow = public().initiate_device_flow([SCOPE])
    answer = poll(sandbox, http, {"device_code": "nonsense"})
    assert (answer["error"], answer["error_codes"]) == ("bad_verification_code", [70018])
    assert poll(sandbox, http, flow, client_id=sandbox.app.client_id)["error_codes"] == [70018]
    assert "AADSTS70018" in Person(sandbox).open(flow["verification_uri"]).send(user_code="WRONG").text


def test_an_app_that_may_not(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """Without "allow public client flows" a program without a secret is refused with 7000218."""
    sandbox.public_app.public_flows = False
    flow = public().initiate_device_flow([SCOPE])
    assert poll(sandbox, http, flow)["error_codes"] == [7000218]


def test_security_defaults(sandbox: Sandbox, public: Make) -> None:
    """Where security defaults hold, no device code is given: 530035."""
    sandbox.directory.members.policy.security_defaults = True
    assert public().initiate_device_flow([SCOPE])["error_codes"] == [530035]


def test_blocked_after_all(sandbox: Sandbox, http: requests.Session, public: Make) -> None:
    """A policy that begins to block between the person's yes and the program's question refuses the token: 53003."""
    flow = public().initiate_device_flow([SCOPE])
    entered(sandbox, flow).send(answer="accept").send(answer="accept")
    sandbox.directory.members.policy.blocked_by = 53003
    assert poll(sandbox, http, flow)["error_codes"] == [53003]
