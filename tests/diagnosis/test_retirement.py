"""What ends for a host, when and why: Microsoft's dates, judged as of any day."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from ops_lib.diagnosis.retirement import MILESTONES, WORLDWIDE, Ending, endings, is_online, kind, works_until
from ops_lib.diagnosis.sub_causes import EWS_ENDING, EWS_ENDS
from ops_lib.model import Host

TODAY = date(2026, 11, 23)
ONLINE = "https://outlook.office365.com/EWS/Exchange.asmx"
OWN = "https://mail.customer.example/EWS/Exchange.asmx"


def host(**given: Any) -> Host:
    """A host; in Exchange Online with an application, unless told otherwise."""
    usual = {"url": ONLINE, "auth": "oauth-app", "access": "impersonation", "version": "Office 365"}
    return Host(host_id="1", name="company", **{**usual, **given})


def of(found: list[Ending], what: str) -> Ending:
    return next(each for each in found if each.what == what)


@pytest.mark.req("R7", "G1")
@pytest.mark.parametrize(
    ("today", "verdict", "when", "tenant"),
    [
        (date(2026, 9, 30), "warn", "on that day", "on that day"),
        (EWS_ENDING, "warn", "on that day", "any day"),
        (date(2027, 3, 31), "warn", "on that day", "any day"),
        (EWS_ENDS, "fail", "over", None),
        (date(2030, 1, 1), "fail", "over", None),
    ],
)
def test_exchange_online_ends_in_two_steps(today: date, verdict: str, when: str, tenant: str | None) -> None:
    """Tenant by tenant from October 2026, for good on 1 April 2027; from that day on nothing is said of the tenant any more."""
    found = endings(host(), today)
    ews = of(found, "EWS")
    assert (ews.verdict, ews.when, ews.day) == (verdict, when, EWS_ENDS)
    steps = [each.when for each in found if each.what == "EWS of this organisation"]
    assert steps == ([tenant] if tenant else [])


@pytest.mark.req("R7", "G1")
@pytest.mark.parametrize(
    ("version", "verdicts"),
    [("SE", ["ok"]), ("2019", ["warn", "ok"]), ("2016", ["warn", "ok"]), ("2013", ["warn", "ok"])],
)
def test_a_server_of_ones_own_keeps_ews(version: str, verdicts: list[str]) -> None:
    """EWS goes on in every version; one out of support is to be watched, and nothing stops."""
    found = endings(host(url=OWN, auth="ntlm", version=version), TODAY)
    assert [each.verdict for each in found] == verdicts
    assert works_until(found).when == "goes on"
    assert of(found, "EWS").verdict == "ok"


def test_a_version_in_support_is_well() -> None:
    """Before its last day nothing is to be watched."""
    found = endings(host(url=OWN, auth="ntlm", version="2019"), date(2025, 10, 13))
    assert {each.verdict for each in found} == {"ok"}


@pytest.mark.req("G1")
@pytest.mark.parametrize(
    ("auth", "access", "is_withdrawn"),
    [
        ("oauth-code", "impersonation", True),
        ("oauth-device", "impersonation", True),
        ("oauth-app", "impersonation", False),
        ("oauth-code", "direct", False),
        ("oauth-code", "delegate", False),
    ],
)
def test_a_person_can_act_for_nobody_else_online(auth: str, access: str, is_withdrawn: bool) -> None:
    """The role was removed in February 2025: over, and therefore the first of what works until when."""
    found = endings(host(auth=auth, access=access), TODAY)
    assert ("acting for others" in [each.what for each in found]) is is_withdrawn
    assert (works_until(found).when == "over") is is_withdrawn
    assert (found[0].verdict == "fail") is is_withdrawn


@pytest.mark.parametrize(
    ("expires", "verdict"),
    [(date(2026, 11, 22), "fail"), (TODAY, "warn"), (date(2027, 1, 22), "warn"), (date(2027, 1, 23), "ok")],
)
def test_a_secret_has_a_last_day(expires: date, verdict: str) -> None:
    """Over after it, a warning two months before it, well earlier; on its own server as well."""
    for url in (ONLINE, OWN):
        assert of(endings(host(url=url, secret_expires=expires), TODAY), "the host's secret").verdict == verdict


def test_the_application_to_be_listed_is_named() -> None:
    """The administrator reads which client id has to be in the list."""
    found = endings(host(client_id="7c9e6679-7425-40de-944b-e07fc1f90ae7"), TODAY)
    assert "7c9e6679-7425-40de-944b-e07fc1f90ae7" in of(found, "EWS of this organisation").next_step


@pytest.mark.parametrize(
    ("url", "online", "words"),
    [
        (ONLINE, True, "Exchange Online"),
        ("https://OUTLOOK.office365.com/EWS/Exchange.asmx", True, "Exchange Online"),
        ("https://outlook.office365.us/EWS/Exchange.asmx", True, "a cloud of its own"),
        ("https://outlook.office365.com.customer.example/EWS/Exchange.asmx", False, "of one's own"),
        ("https://[broken/EWS/Exchange.asmx", False, "of one's own"),
        ("", False, "of one's own"),
    ],
)
def test_a_host_is_known_by_its_servers_name(url: str, online: bool, words: str) -> None:
    """Microsoft's own names in any case; neither one that only begins like them nor an address that is none."""
    assert is_online(host(url=url)) is online
    assert words in kind(host(url=url))


def test_the_dates_are_in_their_order() -> None:
    """As a reader goes through them; the last is the end."""
    days = [each.day for each in MILESTONES]
    assert days == sorted(days)
    assert days[-1] == EWS_ENDS
    assert "outlook.office365.com" in WORLDWIDE
