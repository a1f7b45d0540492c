"""The sign-in pages in a real browser: clicked through, with the address the app is called back at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ops_lib.sandbox.server import Sandbox
from tests.support.sandbox import ALICE

from .conftest import SCOPE, WEB_REDIRECT

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:response_mode='form_post':UserWarning")]


@pytest.mark.req("A4")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_signing_in(sandbox: Sandbox, page: Any, confidential: Callable[..., Any], mode: str) -> None:
    """Somebody types name and password, mistypes once, accepts, and is sent to the app's own address with a code that is good."""
    client = confidential()
    flow = client.initiate_auth_code_flow([SCOPE], redirect_uri=WEB_REDIRECT, response_mode=mode)
    called_back: list[dict[str, str]] = []

    def the_app(route: Any) -> None:
        request = route.request
        called_back.append(dict(parse_qsl(request.post_data or urlsplit(request.url).query)))
        route.fulfill(body="Thank you.")

    page.route(f"{WEB_REDIRECT}**", the_app)
    page.goto(flow["auth_uri"])
    page.get_by_label("Email").fill(ALICE)
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    assert "AADSTS50126" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password").fill(sandbox.passwords[ALICE])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Accept").click()
    page.get_by_text("Thank you.").wait_for()
    assert client.acquire_token_by_auth_code_flow(flow, called_back[0])["id_token_claims"]["upn"] == ALICE


@pytest.mark.req("A8")
def test_a_device_code(sandbox: Sandbox, page: Any, public: Callable[..., Any]) -> None:
    """Somebody enters a device's code, signs in, accepts and confirms; the program then has the tokens."""
    client = public()
    flow = client.initiate_device_flow([SCOPE])
    page.goto(flow["verification_uri"])
    page.get_by_label("Enter the code").fill(flow["user_code"])
    page.get_by_role("button", name="Next").click()
    page.get_by_label("Email").fill(ALICE)
    page.get_by_label("Password").fill(sandbox.passwords[ALICE])
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name="Accept").click()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("heading", name="You have signed in").wait_for()
    assert client.acquire_token_by_device_flow(flow)["id_token_claims"]["upn"] == ALICE
