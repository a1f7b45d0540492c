"""The authorization-code flow as the real MSAL goes through it, with a person at the pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest
import requests

from ops_lib.sandbox.server import Sandbox
from tests.support.browser_forms import Person, Shown
from tests.support.sandbox import ALICE, BOB, SERVICE
from tests.support.soap import XML, codes, envelope, get_folder

from .conftest import LOOPBACK, SCOPE, WEB_REDIRECT

Make = Callable[..., Any]

# MSAL would rather have form_post; the query is what most apps are registered for.
pytestmark = pytest.mark.filterwarnings("ignore:response_mode='form_post':UserWarning")


def begin(client: Any, redirect_uri: str = WEB_REDIRECT, **options: Any) -> dict[str, Any]:
    """An authorization-code flow of MSAL, begun."""
    return dict(client.initiate_auth_code_flow([SCOPE], redirect_uri=redirect_uri, **options))


def signed_in(sandbox: Sandbox, flow: dict[str, Any], user: str = ALICE, person: Person | None = None) -> Shown:
    """What comes of opening the flow's address, signing in and agreeing to whatever is asked."""
    page = (person or Person(sandbox)).open(flow["auth_uri"])
    if page.content and page.title == "Sign in":
        page = page.send(username=user, password=sandbox.passwords[user])
    if page.content and page.title == "Permissions requested":
        page = page.send(answer="accept")
    return page


def ews(sandbox: Sandbox, http: requests.Session, token: str, acting_as: str = "", mailbox: str = "") -> Any:
    """One EWS request with a bearer token."""
    body = envelope(get_folder(mailbox=mailbox), acting_as=acting_as)
    return http.post(sandbox.ews_url_https, data=body, headers={**XML, "Authorization": f"Bearer {token}"}, timeout=10)


@pytest.mark.req("A4")
def test_the_whole_way(sandbox: Sandbox, http: requests.Session, confidential: Make) -> None:
    """A user signs in, agrees, and comes back with a code that MSAL turns into tokens of exactly this user, which EWS honours."""
    client = confidential()
    flow = begin(client)
    page = Person(sandbox).open(flow["auth_uri"])
    assert page.title == "Sign in"
    page = page.send(username=ALICE, password=sandbox.passwords[ALICE])
    assert page.title == "Permissions requested"
    assert "EWS.AccessAsUser.All" in page.text
    page = page.send(answer="accept")
    assert page.address.startswith(f"{WEB_REDIRECT}?")
    result = client.acquire_token_by_auth_code_flow(flow, page.answer)
    assert result["token_type"] == "Bearer"
    assert result["scope"].split()[0] == SCOPE
    claims = result["id_token_claims"]
    assert (claims["preferred_username"], claims["upn"], claims["tid"]) == (ALICE, ALICE, sandbox.directory.tenant_id)
    [account] = client.get_accounts()
    assert account["username"] == ALICE
    assert account["home_account_id"] == f"{claims['oid']}.{claims['tid']}"
    access = jwt.decode(result["access_token"], options={"verify_signature": False})
    assert (access["scp"], access["upn"], access["appid"]) == (
        "EWS.AccessAsUser.All",
        ALICE,
        sandbox.app.client_id,
    )
    assert "roles" not in access
    assert codes(ews(sandbox, http, result["access_token"])) == ["NoError"]


def test_a_user_token_is_no_impersonation(sandbox: Sandbox, http: requests.Session, confidential: Make) -> None:
    """A user's token opens the user's own mailbox; acting for others needs the right, which the service account has."""
    client = confidential()
    flow = begin(client)
    token = client.acquire_token_by_auth_code_flow(flow, signed_in(sandbox, flow).answer)["access_token"]
    assert codes(ews(sandbox, http, token, mailbox=BOB))[0].startswith("Error")
    assert codes(ews(sandbox, http, token, acting_as=BOB)) == ["ErrorImpersonateUserDenied"]
    flow = begin(client)
    token = client.acquire_token_by_auth_code_flow(flow, signed_in(sandbox, flow, SERVICE).answer)["access_token"]
    assert codes(ews(sandbox, http, token, acting_as=BOB)) == ["NoError"]


@pytest.mark.parametrize("redirect_uri", [LOOPBACK, "http://127.0.0.1:50123", "http://localhost:9/"])
def test_loopback_on_any_port(sandbox: Sandbox, public: Make, redirect_uri: str) -> None:
    """A desktop app registered for loopback is called back on whatever port it listens."""
    client = public()
    flow = begin(client, redirect_uri)
    page = signed_in(sandbox, flow)
    assert page.address.startswith(f"{redirect_uri}?code=")
    assert client.acquire_token_by_auth_code_flow(flow, page.answer)["id_token_claims"]["upn"] == ALICE


def test_no_second_question(sandbox: Sandbox, confidential: Make) -> None:
    """Who signed in and agreed is sent straight back the next time; prompt=login asks again, select_account offers the choice."""
    client, person = confidential(), Person(sandbox)
    signed_in(sandbox, begin(client), person=person)
    assert "code" in person.open(begin(client)["auth_uri"]).answer
    assert "code" in person.open(begin(client, prompt="none")["auth_uri"]).answer
    assert person.open(begin(client, prompt="login")["auth_uri"]).title == "Sign in"
    page = person.open(begin(client, prompt="select_account")["auth_uri"])
    assert page.title == "Pick an account"
    assert "code" in page.send(account=ALICE).answer
    page = person.open(begin(client, prompt="select_account")["auth_uri"]).send(account="")
    page = page.send(username=BOB, password=sandbox.passwords[BOB])
    assert page.title == "Permissions requested"
    assert BOB in page.text


def test_signing_out(sandbox: Sandbox, confidential: Make) -> None:
    """After signing out the browser is nobody's: silent sign-in is refused with 50058, and only registered addresses are gone to."""
    client, person = confidential(), Person(sandbox)
    signed_in(sandbox, begin(client), person=person)
    logout = f"{sandbox.entra_url}/common/oauth2/v2.0/logout?post_logout_redirect_uri="
    assert person.open(f"{logout}{WEB_REDIRECT}").address == WEB_REDIRECT
    assert person.open(f"{logout}https://elsewhere.example/").title == "You signed out of your account"
    answer = person.open(begin(client, prompt="none")["auth_uri"]).answer
    assert answer["error"] == "login_required"
    assert answer["error_description"].startswith("AADSTS50058: ")


@pytest.mark.parametrize(("mode", "mark"), [("query", "?"), ("fragment", "#")])
def test_response_modes(sandbox: Sandbox, confidential: Make, mode: str, mark: str) -> None:
    """The answer comes in the query or the fragment, with the state, whatever the app asked for."""
    flow = begin(confidential(), state="state-1")
    flow["auth_uri"] += f"&response_mode={mode}"
    page = signed_in(sandbox, flow)
    assert page.address.startswith(f"{WEB_REDIRECT}{mark}")
    assert page.answer["state"] == "state-1"


def test_form_post(sandbox: Sandbox, confidential: Make) -> None:
    """With response_mode=form_post the answer is a form that goes to the app, as MSAL asks for it."""
    client = confidential()
    flow = begin(client, response_mode="form_post")
    page = signed_in(sandbox, flow)
    from lxml import html

    form = html.fromstring(page.content).forms[0]
    assert form.action == WEB_REDIRECT
    result = client.acquire_token_by_auth_code_flow(flow, dict(form.form_values()))
    assert result["id_token_claims"]["upn"] == ALICE


def test_a_declined_consent(sandbox: Sandbox, confidential: Make) -> None:
    """Who does not agree is sent back with access_denied and 65004, and may be asked again."""
    flow = begin(confidential())
    page = Person(sandbox).open(flow["auth_uri"]).send(username=ALICE, password=sandbox.passwords[ALICE])
    answer = page.send(answer="cancel").answer
    assert (answer["error"], answer["error_subcode"], answer["state"]) == ("access_denied", "cancel", flow["state"])
    assert answer["error_description"].startswith("AADSTS65004: ")
    assert "code" in signed_in(sandbox, begin(confidential())).answer


def test_an_administrator_agrees_for_everybody(sandbox: Sandbox, confidential: Make) -> None:
    """An administrator's consent on behalf of the organisation spares the users the question."""
    client = confidential()
    page = Person(sandbox).open(begin(client)["auth_uri"])
    page = page.send(username=SERVICE, password=sandbox.passwords[SERVICE]).send(for_all="on", answer="accept")
    assert "code" in page.answer
    page = Person(sandbox).open(begin(client)["auth_uri"]).send(username=ALICE, password=sandbox.passwords[ALICE])
    assert "code" in page.answer


def test_the_administrators_own_page(sandbox: Sandbox, confidential: Make) -> None:
    """At /adminconsent an administrator agrees beforehand; anybody else is told that an administrator is needed."""
    where = f"{sandbox.entra_url}/{sandbox.directory.tenant_id}/v2.0/adminconsent?client_id={sandbox.app.client_id}&redirect_uri={WEB_REDIRECT}&state=s"
    page = Person(sandbox).open(where).send(username=ALICE, password=sandbox.passwords[ALICE])
    assert "AADSTS90094" in page.text
    page = Person(sandbox).open(where).send(username=SERVICE, password=sandbox.passwords[SERVICE])
    answer = page.send(answer="accept").answer
    assert answer == {"admin_consent": "True", "tenant": sandbox.directory.tenant_id, "state": "s"}
    assert sandbox.directory.members.has_consented(sandbox.app, ["EWS.AccessAsUser.All"], ALICE)


def test_a_second_factor(sandbox: Sandbox, confidential: Make) -> None:
    """Where a second factor is required its code is asked for, a wrong one is refused, and the token says that it was used."""
    member = sandbox.directory.members.member(ALICE)
    member.second_factor = "required"
    client = confidential()
    flow = begin(client)
    page = Person(sandbox).open(flow["auth_uri"]).send(username=ALICE, password=sandbox.passwords[ALICE])
    assert page.title == "Enter code"
    page = page.send(code="no code")
    assert "AADSTS500121" in page.text
    page = page.send(code=member.second_factor_code).send(answer="accept")
    token = client.acquire_token_by_auth_code_flow(flow, page.answer)["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["amr"] == ["pwd", "mfa"]


@pytest.mark.parametrize(
    ("username", "password", "code"),
    [("nobody@example.test", "x", 50034), (ALICE, "wrong", 50126)],
)
def test_try_again(sandbox: Sandbox, confidential: Make, username: str, password: str, code: int) -> None:
    """A wrong name or password is said on the page, where the person can try again; the app hears nothing of it."""
    page = Person(sandbox).open(begin(confidential())["auth_uri"]).send(username=username, password=password)
    assert page.title == "Sign in"
    assert f"AADSTS{code}" in page.text
    page = page.send(username=ALICE, password=sandbox.passwords[ALICE])
    assert page.title == "Permissions requested"


def test_locked_after_too_many(sandbox: Sandbox, confidential: Make) -> None:
    """After the limit of wrong passwords the right one is refused too (50053), until the lock has run out."""
    sandbox.attempts.lock_after = 3
    page = Person(sandbox).open(begin(confidential())["auth_uri"])
    for _ in range(3):
        page = page.send(username=ALICE, password="wrong")
    assert "AADSTS50126" in page.text
    page = page.send(username=ALICE, password=sandbox.passwords[ALICE])
    assert "AADSTS50053" in page.text
    assert sandbox.attempts.count(ALICE, "refused", "entra") == 3
    sandbox.clock.advance(1800)
    assert page.send(username=ALICE, password=sandbox.passwords[ALICE]).title == "Permissions requested"


def _disabled(sandbox: Sandbox) -> None:
    sandbox.directory.members.member(ALICE).enabled = False


def _expired(sandbox: Sandbox) -> None:
    sandbox.directory.members.member(ALICE).password_expired = True


def _factor_missing(sandbox: Sandbox) -> None:
    sandbox.directory.members.member(ALICE).second_factor = "not registered"


def _not_assigned(sandbox: Sandbox) -> None:
    sandbox.app.assignment_required = True


def _needs_admin(sandbox: Sandbox) -> None:
    sandbox.directory.members.policy.user_consent = False


def _blocked(code: int) -> Callable[[Sandbox], None]:
    return lambda sandbox: setattr(sandbox.directory.members.member(ALICE), "blocked_by", code)


@pytest.mark.parametrize(
    ("cause", "code", "error"),
    [
        (_disabled, 50057, "invalid_grant"),
        (_expired, 50055, "invalid_grant"),
        (_factor_missing, 50079, "interaction_required"),
        (_not_assigned, 50105, "access_denied"),
        (_needs_admin, 90094, "consent_required"),
        *[(_blocked(code), code, "access_denied") for code in (53000, 53001, 53003, 530032)],
    ],
)
def test_what_the_person_cannot_mend(
    sandbox: Sandbox, confidential: Make, cause: Callable[[Sandbox], None], code: int, error: str
) -> None:
    """What only an administrator can mend is said on a page with its code; going back to the app hands it the same code."""
    cause(sandbox)
    flow = begin(confidential())
    page = Person(sandbox).open(flow["auth_uri"]).send(username=ALICE, password=sandbox.passwords[ALICE])
    assert f"AADSTS{code}: " in page.text
    answer = page.send().answer
    assert (answer["error"], answer["state"]) == (error, flow["state"])
    assert answer["error_description"].startswith(f"AADSTS{code}: ")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"client_id": "6f1a0f4e-0000-4000-8000-000000000000"}, 700016),
        ({"client_id": None}, 900144),
        ({"redirect_uri": None}, 900144),
        ({"redirect_uri": "https://crm.example.test/other"}, 50011),
        ({"redirect_uri": "https://crm.example.test:8443/signin/outlook"}, 50011),
        ({"redirect_uri": "http://localhost/elsewhere"}, 50011),
        ({"redirect_uri": "https://localhost"}, 50011),
        ({"redirect_uri": "http://[localhost"}, 50011),
    ],
)
def test_nothing_is_sent_to_an_address_not_registered(sandbox: Sandbox, changed: dict[str, Any], code: int) -> None:
    """Where app or reply address is wrong, the error is shown to the person and nobody is called back."""
    page = Person(sandbox).open(_authorize(sandbox, sandbox.directory.tenant_id, changed))
    assert (page.status, page.address) == (400, "")
    assert f"AADSTS{code}: " in page.text


@pytest.mark.parametrize("tenant", ["elsewhere.example", "common", "organizations"])
def test_the_wrong_tenant(sandbox: Sandbox, tenant: str) -> None:
    """A tenant nobody knows is 90002; the shared addresses are not for an app of one tenant, 50194."""
    page = Person(sandbox).open(_authorize(sandbox, tenant, {}))
    assert ("AADSTS90002: " if "." in tenant else "AADSTS50194: ") in page.text


def _authorize(sandbox: Sandbox, tenant: str, changed: dict[str, Any]) -> str:
    """The address of an authorize request with some parameters changed or (None) left out."""
    given = {
        "client_id": sandbox.app.client_id,
        "response_type": "code",
        "redirect_uri": WEB_REDIRECT,
        "scope": f"{SCOPE} openid",
        "state": "s",
        **changed,
    }
    request = requests.Request(
        "GET",
        f"{sandbox.entra_url}/{tenant}/oauth2/v2.0/authorize",
        params={name: value for name, value in given.items() if value is not None},
    )
    return str(request.prepare().url)


@pytest.mark.parametrize(
    ("changed", "error", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type", 70005),
        ({"response_mode": "telegram"}, "invalid_request", 90023),
        ({"prompt": "please"}, "invalid_request", 90023),
        ({"scope": None}, "invalid_request", 900144),
        ({"scope": "https://mail.example/Read"}, "invalid_resource", 500011),
        ({"scope": "https://outlook.office365.com/EWS.Everything"}, "invalid_client", 650053),
        ({"scope": f"{SCOPE} User.Read"}, "invalid_scope", 28000),
        ({"scope": f"{SCOPE} https://outlook.office365.com/.default"}, "invalid_scope", 70011),
        ({"scope": "https://graph.microsoft.com/.default"}, "invalid_resource", 650057),
        ({"code_challenge": "short", "code_challenge_method": "S256"}, "invalid_request", 501491),
        ({"code_challenge": "c" * 43, "code_challenge_method": "S512"}, "invalid_request", 501491),
        ({"code_challenge_method": "S256"}, "invalid_request", 501491),
        ({"prompt": "none"}, "login_required", 50058),
    ],
)
def test_refusals_handed_back(sandbox: Sandbox, changed: dict[str, Any], error: str, code: int) -> None:
    """What the app asked wrongly comes back to it by redirect, with Entra's error, code and the state."""
    answer = Person(sandbox).open(_authorize(sandbox, sandbox.directory.tenant_id, changed)).answer
    assert (answer["error"], answer["state"]) == (error, "s")
    assert answer["error_description"].startswith(f"AADSTS{code}: ")


def test_an_app_without_permissions(sandbox: Sandbox) -> None:
    """An app whose registration lists no permission at all is misconfigured: 650056."""
    sandbox.app.delegated = ()
    answer = Person(sandbox).open(_authorize(sandbox, sandbox.directory.tenant_id, {})).answer
    assert answer["error_description"].startswith("AADSTS650056: ")


def test_silent_sign_in_with_two_accounts(sandbox: Sandbox, confidential: Make) -> None:
    """A silent sign-in that could be two people's is refused with 16000, and works with a login hint."""
    client, person = confidential(), Person(sandbox)
    signed_in(sandbox, begin(client), person=person)
    signed_in(sandbox, begin(client, prompt="login"), BOB, person)
    answer = person.open(begin(client, prompt="none")["auth_uri"]).answer
    assert answer["error_description"].startswith("AADSTS16000: ")
    assert "code" in person.open(begin(client, prompt="none", login_hint=BOB)["auth_uri"]).answer


def test_silent_sign_in_without_consent(sandbox: Sandbox, confidential: Make) -> None:
    """A silent sign-in for what nobody agreed to comes back as consent_required, 65001."""
    client, person = confidential(), Person(sandbox)
    signed_in(sandbox, begin(client), person=person)
    sandbox.directory.members.withdraw_consent(sandbox.app)
    answer = person.open(begin(client, prompt="none")["auth_uri"]).answer
    assert answer["error"] == "consent_required"
    assert answer["error_description"].startswith("AADSTS65001: ")


def test_names_are_shown_as_text(sandbox: Sandbox) -> None:
    """What came from outside stands on the pages as text, whatever it holds."""
    attack = '"><script>alert(1)</script>'
    page = Person(sandbox).open(_authorize(sandbox, sandbox.directory.tenant_id, {"login_hint": attack}))
    assert b"<script>" not in page.content
    page = page.send(username=attack, password=attack)
    assert b"<script>" not in page.content
    page = Person(sandbox).open(_authorize(sandbox, sandbox.directory.tenant_id, {"redirect_uri": attack}))
    assert b"<script>" not in page.content


def test_a_form_of_nobody(sandbox: Sandbox) -> None:
    """A form that belongs to no sign-in under way is told so."""
    page = Person(sandbox).go("POST", f"{sandbox.entra_url}/common/login", {"flow": "x", "action": "login"})
    assert (page.status, page.title) == (400, "This sign-in has ended")
