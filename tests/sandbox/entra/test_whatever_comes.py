"""The directory meets whatever comes with an answer of its own, and knows every code the facts name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops_lib.sandbox.clock import real_now
from ops_lib.sandbox.entra import Directory
from ops_lib.sandbox.entra.refusals import MEANINGS
from ops_lib.sandbox.entra.signin import GoTo, SignIn

FACTS = Path(__file__).resolve().parents[3].parent / "shared" / "facts" / "exchange.md"
DIRECTORY = Directory(real_now, ["example.test"])
APP, PUBLIC = DIRECTORY.furnish()

words = st.one_of(
    st.sampled_from(
        [
            *(
                "",
                "client_credentials",
                "authorization_code",
                "refresh_token",
                "device_code",
                "password",
                "code",
                "S256",
            ),
            *("none", "login", "openid", "https://outlook.office365.com/.default", "a/b c/d", "/", "//.default"),
            *(
                APP.client_id,
                APP.secret,
                PUBLIC.client_id,
                "http://localhost",
                "http://[",
                "common",
                "consumers",
                "{0}",
            ),
        ]
    ),
    st.text(max_size=12),
)
NAMES = (
    *("grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "code"),
    *("redirect_uri", "code_verifier", "refresh_token", "device_code", "response_type", "response_mode", "state"),
    *("prompt", "login_hint", "code_challenge", "code_challenge_method", "action", "flow", "user_code", "username"),
)
forms = st.dictionaries(st.sampled_from(NAMES), words, max_size=10)


@settings(max_examples=150, deadline=None)
@given(tenant=words, form=forms, header=words)
def test_the_token_endpoint_always_answers(tenant: str, form: dict[str, str], header: str) -> None:
    """Any form gets a token or a refusal with a known code, never an accident."""
    for status, document in (
        DIRECTORY.token(tenant, form, f"Basic {header}"),
        DIRECTORY.device_code(tenant, form, "https://sandbox.example"),
        DIRECTORY.discovery("https://sandbox.example", tenant),
    ):
        assert status == 200 or document["error_codes"][0] in MEANINGS


@settings(max_examples=150, deadline=None)
@given(tenant=words, form=forms, browser=words)
def test_the_pages_always_answer(tenant: str, form: dict[str, str], browser: str) -> None:
    """Any request to the pages gets a page, and only a registered address is ever gone to."""
    pages = SignIn(DIRECTORY)
    for step in (
        pages.authorize(tenant, form, browser),
        pages.admin_consent(tenant, form, browser),
        pages.submit(form, browser),
        pages.device(form.get("user_code", ""), browser),
        pages.sign_out(form, browser),
    ):
        if isinstance(step, GoTo):
            assert re.match(r"http://(localhost|127\.0\.0\.1)(:\d+)?/?([?#]|$)", step.address)


def test_every_code_of_the_facts_is_known() -> None:
    """Every AADSTS code in the table of facts can be produced here."""
    if not FACTS.is_file():
        pytest.skip("the facts are not beside the repository (../shared/facts)")
    table = FACTS.read_text(encoding="utf-8").partition("### AADSTS codes")[2].partition("ENTRA warns")[0]
    named = {
        int(code)
        for row in table.splitlines()
        for code in re.findall(r"\d{5,}", row.split("|")[1] if "|" in row else "")
    }
    assert len(named) > 35
    assert named <= set(MEANINGS)
