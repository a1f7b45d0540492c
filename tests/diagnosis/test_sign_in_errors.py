"""Every refusal has one row in code and in the documentation, and says what it means, who must act and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_lib.diagnosis import sign_in_errors as table
from ops_lib.diagnosis.statuses import FORBIDDEN, NOT_SYNCING, UNAUTHORIZED, status_of
from ops_lib.errors import MailboxError, SignInRefused, Unreachable
from ops_lib.mailbox.ews import failures
from ops_lib.mailbox.ews.oauth import UNREACHABLE_CODE, refusal

ROOT = Path(__file__).parents[2]
FACTS = ROOT.parent / "shared" / "facts" / "exchange.md"
ALL = {
    **{f"AADSTS{number}": row for number, row in table.AADSTS.items()},
    **table.OAUTH,
    **table.SERVER,
    **table.OURS,
}


def test_the_page_is_the_table() -> None:
    """`docs/sign_in_errors.md` has exactly the table's rows, word for word."""
    page = (ROOT / "docs" / "sign_in_errors.md").read_text(encoding="utf-8")
    written = {
        code: (meaning, who, step)
        for code, meaning, who, step in re.findall(r"^\| `([^`]+)` \| (.*?) \| (.*?) \| (.*?) \|$", page, re.MULTILINE)
    }
    assert written == {code: (row.meaning, row.who, row.step) for code, row in ALL.items()}


def test_every_known_code_has_a_row() -> None:
    """Each AADSTS code of the facts about Exchange is in the table."""
    if not FACTS.exists():
        pytest.skip("the facts are not beside the repository (../shared/facts)")
    section = FACTS.read_text(encoding="utf-8").partition("### AADSTS codes")[2].partition("ENTRA warns")[0]
    rows = re.findall(r"^\| ([0-9/ ]+) \|", section, re.MULTILINE)
    numbers = {number.strip() for row in rows for number in row.split("/")}
    assert len(numbers) > 35
    assert numbers - table.AADSTS.keys() == set()


@pytest.mark.parametrize("code", ALL)
def test_a_row_says_what_who_and_how(code: str) -> None:
    """What it means is a clause; who must act is somebody; what to do is an order that ends there."""
    row = ALL[code]
    assert row.meaning
    assert not row.meaning.endswith(".")
    assert row.who in {table.USER, table.SIGNER, table.TENANT, table.OWNER, table.CRM, table.EXCHANGE}
    assert row.step.endswith(".")
    assert row.fix == f"{row.who} {row.step}"


@pytest.mark.req("A9")
@pytest.mark.parametrize("number", table.AADSTS)
def test_a_refusal_is_one_sentence_with_its_code(number: str) -> None:
    """What a person reads names the code as it came, what it means, and who does what."""
    row = table.AADSTS[number]
    error = refusal({"error": "invalid_grant", "error_description": f"AADSTS{number}: text Trace ID: 1"}, "alice")
    assert str(error) == f"alice: {row.meaning} (AADSTS{number}). To mend it: {row.fix}"
    assert table.needs_sign_in(error.response_code) == row.by_signing_in


@pytest.mark.parametrize("error", table.OAUTH)
def test_an_unknown_code_is_explained_by_its_oauth_error(error: str) -> None:
    """A number that nobody knows keeps its text, and its OAuth error says who must act."""
    found = refusal({"error": error, "error_description": "AADSTS4711: Something new."}, "alice")
    assert found.response_code == "AADSTS4711"
    assert found.fix == table.OAUTH[error].fix
    assert "Something new." in found.message


def answered(status: int, headers: dict[str, str], auth: str, body: bytes = b"") -> MailboxError:
    return failures.of_status(status, headers, body, subject="alice", auth=auth)


@pytest.mark.req("T1", "T2")
@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("HTTP 401 password", answered(401, {"WWW-Authenticate": 'Basic realm="x"'}, "basic")),
        ("HTTP 401 password", answered(401, {"WWW-Authenticate": "Negotiate, NTLM"}, "ntlm")),
        ("HTTP 401 locked", answered(401, {}, "ntlm", b"The account is currently locked out")),
        ("HTTP 401 scheme", answered(401, {"WWW-Authenticate": "Negotiate, NTLM"}, "basic")),
        ("HTTP 401 app", answered(401, {"WWW-Authenticate": "Bearer"}, "oauth-app")),
        ("HTTP 401 user", answered(401, {"WWW-Authenticate": "Bearer"}, "oauth-code")),
    ],
)
def test_the_servers_refusals(case: str, error: MailboxError) -> None:
    """Each 401 has its own mend; only one that looked at a password keeps that password from being sent again."""
    assert isinstance(error, SignInRefused)
    assert error.fix == table.SERVER[case].fix
    assert error.is_of_password == (case in ("HTTP 401 password", "HTTP 401 locked"))
    assert status_of(error) == UNAUTHORIZED


@pytest.mark.parametrize("code", [code for code in table.SERVER if code.startswith("Error")])
def test_response_codes_of_signing_in(code: str) -> None:
    """Each response code about who signs in is known to the mailbox, and is not tried again by itself."""
    error = failures.of_code(code, "", subject="alice")
    assert error.response_code == code
    assert "has no entry here" not in error.message
    assert not error.transient


@pytest.mark.req("T1")
def test_statuses_of_refusals() -> None:
    """A refused sign-in is Unauthorized, an app that may not is Forbidden in the article's words, an absent directory is no wrong URL."""
    assert status_of(SignInRefused("x", response_code="AADSTS50173")) == UNAUTHORIZED
    assert status_of(SignInRefused("x", response_code="AADSTS700016")) == FORBIDDEN
    assert status_of(Unreachable("x", response_code=UNREACHABLE_CODE)) == NOT_SYNCING
    assert UNREACHABLE_CODE in table.OURS
