from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_lib import errors
from ops_lib.diagnosis import sign_in_errors
from ops_lib.diagnosis.statuses import MEANINGS, is_permanent, owner_and_next_step, status_of

ARTICLE = Path(__file__).parents[2].parent / "shared" / "spec" / "article.txt"


@pytest.mark.req("T1")
def test_the_13_statuses_are_the_articles() -> None:
    """The 13 statuses and their meanings are those of the help article, to the letter."""
    assert len(MEANINGS) == 13
    if not ARTICLE.is_file():
        pytest.skip("the article is not beside the repository (../shared/spec)")
    text = re.sub(r"\s+", " ", ARTICLE.read_text(encoding="utf-8"))
    for meaning in MEANINGS.values():
        assert f"{meaning.status}{meaning.meaning}" in text
        assert meaning.owner
        assert meaning.next_step


@pytest.mark.parametrize(
    ("error", "status", "permanent"),
    [
        (errors.SignInRefused("no", http_status=401), "Unauthorized", True),
        (errors.AccessRefused("no", http_status=403), "Denied Access (Forbidden)", True),
        (errors.AccessRefused("no", response_code="ErrorAccessDenied"), "Access Denied Calendar/Task Folder", True),
        (errors.AccessRefused("no", response_code="ErrorImpersonateUserDenied"), "Impersonation Failed", True),
        (errors.MailboxMissing("no", response_code="ErrorNonExistentMailbox"), "Mailbox Not Setup on EWS", True),
        (errors.Unreachable("no name"), "Invalid Server URL", False),
        (errors.WrongUrl("404", http_status=404), "Invalid Server URL", True),
        (errors.ServerFailed("down", http_status=503), "EWS Server giving Internal Server Error", False),
        (errors.ServerFailed("?", response_code="ErrorInvalidServerVersion"), "Exchange Version Not Supported", False),
        (errors.ServerBusy("wait"), "Error - Not Syncing", False),
        (errors.AnswerLost("gone"), "Error - Not Syncing", False),
        (errors.MailboxError("?", response_code="ErrorSomethingNew"), "Error - Not Syncing", True),
    ],
)
def test_a_failure_has_its_status(error: errors.MailboxError, status: str, permanent: bool) -> None:
    """The response code decides where there is one, else the kind of failure; what trying again cannot mend is permanent."""
    assert status_of(error) == status
    assert is_permanent(error) is permanent


@pytest.mark.req("T1", "A9")
@pytest.mark.parametrize(
    ("status", "code", "owner", "step"),
    [
        ("Unauthorized", "AADSTS50173", "who signs in", "AADSTS50173: who signs in signs in again"),
        ("Unauthorized", "not signed in", "who signs in", "not signed in: who signs in signs in"),
        (
            "Unauthorized",
            "AADSTS90002",
            "a CRM administrator",
            "AADSTS90002: a CRM administrator checks the host's tenant",
        ),
        ("Unauthorized", "unknown tenant", "a CRM administrator", "unknown tenant: a CRM administrator checks"),
        ("Unauthorized", "AADSTS4711", "a CRM administrator", "AADSTS4711: a CRM administrator looks the code up"),
        (
            "Denied Access (Forbidden)",
            "AADSTS700016",
            "a CRM administrator",
            "AADSTS700016: a CRM administrator checks",
        ),
        (
            "Error - Not Syncing",
            "sign-in address unreachable",
            "a CRM administrator",
            "sign-in address unreachable: a CRM",
        ),
    ],
)
def test_a_refused_token_says_its_own_next_step(status: str, code: str, owner: str, step: str) -> None:
    """Where the directory refused a token, who must act and what to do follow its code, and the code is shown."""
    found = owner_and_next_step(status, code)
    assert found[0] == owner
    assert found[1].startswith(step)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("Unauthorized", "HTTP 401"),
        ("Syncing", "sign-in address unreachable"),
        ("Unattempted", ""),
        ("Unauthorized", ""),
    ],
)
def test_what_is_no_refused_token_keeps_the_statuss_next_step(status: str, code: str) -> None:
    """A password that Exchange refused, and a failure that has not turned the status, have the status' own next step."""
    meaning = MEANINGS[status]
    assert owner_and_next_step(status, code) == (meaning.owner, meaning.next_step)
    assert sign_in_errors.of_code("HTTP 401") is None
