"""The control endpoints of the directory, over HTTP as documented."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE
from tests.support.soap import XML, envelope, get_folder

from .test_authorization_code import Make, begin, signed_in

pytestmark = pytest.mark.filterwarnings("ignore:response_mode='form_post':UserWarning")


def change(sandbox: Sandbox, http: requests.Session, path: str, document: Any) -> Any:
    """POSTs a document to a control endpoint and expects success."""
    answer = http.post(f"{sandbox.control_url}{path}", json=document, timeout=10)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def test_the_apps_that_are_there(sandbox: Sandbox, http: requests.Session) -> None:
    """GET /apps and the sandbox's first line tell the ids, secrets and redirect addresses of both built-in apps."""
    rows = http.get(f"{sandbox.control_url}/apps").json()
    assert [row["client_id"] for row in rows] == [sandbox.app.client_id, sandbox.public_app.client_id]
    document = sandbox.document()
    assert document["app"]["client_secret"] == rows[0]["client_secret"] == sandbox.app.secret
    assert document["app"]["redirect_uris"] == rows[0]["redirect_uris"]
    assert document["public_app"]["redirect_uris"] == rows[1]["public_redirect_uris"]


def test_an_app_of_ones_own(sandbox: Sandbox, http: requests.Session, confidential: Make) -> None:
    """An app registered with a reply address and an administrator's consent signs users in without asking them."""
    made = change(sandbox, http, "/apps", {"name": "CRM", "redirect_uris": ["https://crm.example/back"]})
    change(sandbox, http, f"/apps/{made['client_id']}", {"consent": "*"})
    client = confidential(client_id=made["client_id"], client_credential=made["client_secret"])
    flow = begin(client, "https://crm.example/back")
    from tests.support.browser_forms import Person

    page = Person(sandbox).open(flow["auth_uri"]).send(username=ALICE, password=sandbox.passwords[ALICE])
    assert client.acquire_token_by_auth_code_flow(flow, page.answer)["id_token_claims"]["upn"] == ALICE
    withdrawn = change(sandbox, http, f"/apps/{made['client_id']}", {"withdraw_consent": "*"})
    assert withdrawn["consents"] == {}


def test_secrets_come_and_go(sandbox: Sandbox, http: requests.Session) -> None:
    """An app gets another secret, and one can be taken away."""
    where = f"/apps/{sandbox.app.client_id}/secrets"
    made = change(sandbox, http, where, {"days": 10})
    assert sandbox.app.secret == made["value"]
    http.delete(f"{sandbox.control_url}{where}/{made['secret_id']}")
    assert sandbox.app.secret == sandbox.document()["app"]["client_secret"] != made["value"]


def test_withdrawing_an_apps_tokens(sandbox: Sandbox, http: requests.Session, confidential: Make) -> None:
    """Tokens an app holds are refused at EWS once withdrawn; a new one is good."""
    scope = ["https://outlook.office365.com/.default"]
    old, new = (confidential().acquire_token_for_client(scope)["access_token"] for _ in range(2))
    assert old != new
    change(sandbox, http, f"/apps/{sandbox.app.client_id}", {"revoke": True})
    new = confidential().acquire_token_for_client(scope)["access_token"]
    body = envelope(get_folder(), acting_as=ALICE)
    statuses = [
        http.post(sandbox.ews_url_https, data=body, headers={**XML, "Authorization": f"Bearer {token}"}).status_code
        for token in (old, new)
    ]
    assert statuses == [401, 200]


def test_a_users_standing(sandbox: Sandbox, http: requests.Session, confidential: Make) -> None:
    """A user's standing is changed and shown with how often they tried to sign in; revoking ends their sign-ins."""
    signed_in(sandbox, begin(confidential()))
    shown = change(sandbox, http, f"/users/{ALICE}", {"second_factor": "required", "revoke": True})
    assert (shown["second_factor"], shown["attempts"]["accepted"]) == ("required", 1)
    assert len(shown["second_factor_code"]) == 6
    assert change(sandbox, http, f"/users/{ALICE}", {"locked": True})["attempts"]["is_locked"] is True
    assert change(sandbox, http, f"/users/{ALICE}", {"locked": False})["attempts"]["is_locked"] is False


def test_policy(sandbox: Sandbox, http: requests.Session) -> None:
    """The policy is changed in part, shown whole, and is the usual one again after a reset."""
    usual = http.get(f"{sandbox.control_url}/policy").json()
    changed = change(sandbox, http, "/policy", {"access_token_seconds": 60, "lock_after": 3, "blocked_by": 53003})
    assert changed == {**usual, "access_token_seconds": 60, "lock_after": 3, "blocked_by": 53003}
    http.post(f"{sandbox.control_url}/reset")
    assert http.get(f"{sandbox.control_url}/policy").json() == usual


@pytest.mark.parametrize(
    ("path", "document", "said"),
    [
        ("/apps", {"redirect_uris": ["http://crm.example/back"]}, "can be no redirect address"),
        ("/apps", {"redirect_uris": ["https://[crm"]}, "can be no redirect address"),
        ("/apps", {"redirect_uris": ["https://crm.example/\r\nSet-Cookie: a=b"]}, "can be no redirect address"),
        ("/apps", {"redirect_uris": "https://crm.example"}, "must be a list of texts"),
        ("/apps", {"delegated": ["Everything"]}, "there is no delegated permission Everything"),
        ("/apps", {"secret_days": "long"}, "must be a number of days or null"),
        ("/apps", {"nome": "x"}, "is not known"),
        ("/apps/nobody", {}, "no such app"),
        ("/apps/APP/certificates", {"pem": "x"}, "no certificate in PEM form"),
        ("/apps/APP/secrets", {"days": True}, "must be a number of days"),
        ("/users/nobody@example.test", {}, "no user has this address"),
        (f"/users/{ALICE}", {"enabled": "no"}, "must be true or false"),
        (f"/users/{ALICE}", {"blocked_by": 50126}, "must be 0 or one of"),
        (f"/users/{ALICE}", {"second_factor": "maybe"}, "must be one of"),
        ("/policy", {"code_seconds": -1}, "must be a whole number"),
        ("/policy", {"lock_after": "3"}, "must be a whole number"),
        ("/policy", {"colour": "blue"}, "is not known"),
        ("/policy", {"code_seconds": 5, "lock_after": -1}, "must be a whole number"),
        ("/apps/APP", {"enabled": False, "consent": "nobody@example.test"}, "no user has this address"),
    ],
)
def test_what_cannot_be(sandbox: Sandbox, http: requests.Session, path: str, document: Any, said: str) -> None:
    """A change that cannot be is refused with reason and mend, and nothing of it is done."""
    before = http.get(f"{sandbox.control_url}/apps").json(), http.get(f"{sandbox.control_url}/policy").json()
    answer = http.post(f"{sandbox.control_url}{path.replace('APP', sandbox.app.client_id)}", json=document)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert answer.json()["fix"]
    assert before == (http.get(f"{sandbox.control_url}/apps").json(), http.get(f"{sandbox.control_url}/policy").json())
