"""Hosts: what a person enters, what is kept, and which host serves whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from ops_lib.access.accounts import Accounts
from ops_lib.access.hosts import HostInput, Hosts
from ops_lib.crm.directory import Directory
from ops_lib.database.engine import Database
from ops_lib.errors import InputError, NotThere

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
TENANT = "11111111-d9cb-469f-a165-70867728950e"
ON_PREMISES = HostInput(
    url="https://mail.example.test/EWS/Exchange.asmx", auth="basic", service_user="svc@example.test", secret="env:SVC"
)
OFFICE_365 = HostInput(auth="oauth-app", tenant_id=TENANT, client_id=GUID, secret="env:SYNCOPS_TEST_UNSET")


@pytest.fixture
def connection(database: Database) -> Iterator[Connection]:
    with database.begin() as connection:
        directory = Directory(connection)
        directory.add_usual_activity_types()
        for name in ("Maple Court", "Birch House"):
            directory.add_community(name, time_zone="America/New_York")
        yield connection


@pytest.fixture
def hosts(connection: Connection) -> Hosts:
    return Hosts(connection)


@pytest.mark.req("H1", "H4")
def test_a_host_has_what_the_form_has(hosts: Hosts, connection: Connection) -> None:
    """Every field that is entered is kept; types and community by id, so that a rename does not matter."""
    entered = HostInput(
        url="https://mail.example.test/EWS/Exchange.asmx",
        auth="ntlm",
        access="delegate",
        version="2019",
        community="maple court",
        service_user="EXAMPLE\\svc",
        secret="env:SVC_PASSWORD",
        types=["tour", "Call Out"],
        inbound_type="Calendar Appt",
        all_day_tasks=True,
        send_email=True,
        reschedule="update",
        conflict="crm",
    )
    host = hosts.add("Client Calendar Sync", entered)
    directory = Directory(connection)
    assert host == hosts.get("client calendar sync")
    assert (host.protocol, host.auth, host.access, host.version) == ("ews", "ntlm", "delegate", "2019")
    assert (host.service_user, host.secret) == ("EXAMPLE\\svc", "env:SVC_PASSWORD")
    assert host.community_id == directory.community("Maple Court").community_id
    assert host.type_ids == {directory.activity_type(each).type_id for each in ("Tour", "Call Out")}
    assert host.inbound_type_id == directory.activity_type("Calendar Appt").type_id
    assert (host.all_day_tasks, host.send_email, host.reschedule, host.conflict) == (True, True, "update", "crm")


@pytest.mark.req("H1")
def test_what_is_not_entered_is_as_the_form_s_defaults(hosts: Hosts, connection: Connection) -> None:
    """All communities, face-to-face types out, Appointment in, no tasks, no email, a new activity for a rescheduled one."""
    host = hosts.add("on premises", ON_PREMISES)
    types = {each.type_id: each for each in Directory(connection).activity_types()}
    assert {types[each].name for each in host.type_ids} == {"Tour", "Home Visit", "Move In", "Outreach Visit"}
    assert types[host.inbound_type_id].name == "Appointment"
    assert (host.community_id, host.access, host.version) == (None, "impersonation", "2016")
    assert (host.all_day_tasks, host.send_email, host.reschedule, host.conflict) == (False, False, "replace", "latest")


@pytest.mark.req("H1")
def test_office_365_has_its_address(hosts: Hosts) -> None:
    """Without a URL a host that signs in with OAuth, or is Office 365, is at Microsoft's address; others need theirs."""
    host = hosts.add("cloud", OFFICE_365)
    assert (host.url, host.version) == ("https://outlook.office365.com/EWS/Exchange.asmx", "Office 365")
    with pytest.raises(InputError, match="needs its URL"):
        hosts.add("on premises", replace(ON_PREMISES, url=None))


@pytest.mark.req("R9")
def test_a_host_shows_no_secret(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the value nor where it lies is in a host's repr."""
    monkeypatch.setenv("SVC", "hunter2")
    host = hosts.add("on premises", ON_PREMISES)
    assert host.secret == "env:SVC"
    assert "SVC" not in repr(host)
    assert "hunter2" not in repr(host)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"service_user": None}, "service account's name is missing"),
        ({"secret": None}, "service account's password is missing"),
        ({"access": "direct"}, "its own password"),
        ({"auth": "oauth-app"}, "tenant id"),
        ({"auth": "oauth-app", "tenant_id": TENANT}, "client id"),
        ({"auth": "oauth-app", "tenant_id": TENANT, "client_id": GUID, "secret": None}, "client secret is missing"),
        ({"auth": "oauth-app", "tenant_id": TENANT, "client_id": GUID, "access": "delegate"}, "can only impersonate"),
        (
            {
                "auth": "oauth-app",
                "tenant_id": TENANT,
                "client_id": GUID,
                "authority": f"https://login.example.test/{GUID}",
            },
            f"names the tenant {GUID}",
        ),
        ({"auth": "kerberos"}, "not a way of signing in"),
        ({"access": "full"}, "not an access type"),
        ({"types": ["Tour", "Tuor"]}, "no activity type Tuor .*Tour"),
        ({"community": "Oak"}, "no community Oak .*Birch House, Maple Court"),
        ({"reschedule": "never"}, "replace, update"),
        ({"conflict": "mine"}, "latest, crm, exchange"),
    ],
)
def test_what_does_not_go_together_is_refused(hosts: Hosts, change: dict, words: str) -> None:
    """Each missing or impossible combination is named, with what there is to choose from; nothing is added."""
    with pytest.raises((InputError, NotThere), match=words):
        hosts.add("on premises", replace(ON_PREMISES, **change))
    assert hosts.all() == []


def test_a_secret_s_id_is_refused(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client secret that is a GUID is the portal's secret *id*: refused when the host is entered."""
    monkeypatch.setenv("SYNCOPS_TEST_UNSET", GUID)
    with pytest.raises(InputError, match="not its value"):
        hosts.add("cloud", OFFICE_365)


def test_adding_the_same_host_again_changes_nothing(hosts: Hosts) -> None:
    """A script can be run twice; another host of the same name is refused."""
    host = hosts.add("on premises", ON_PREMISES)
    assert hosts.add("On Premises", ON_PREMISES) == host
    with pytest.raises(InputError, match="it is another"):
        hosts.add("on premises", replace(ON_PREMISES, version="2019"))
    assert hosts.all() == [host]


@pytest.mark.req("H3")
def test_editing_keeps_what_is_not_given(hosts: Hosts, connection: Connection) -> None:
    """Only what is given changes; accounts stay; what does not go together is refused here too."""
    host = hosts.add("on premises", ON_PREMISES)
    Directory(connection).add_user("alice@example.test", "Alice")
    account = Accounts(connection).add("alice@example.test")
    edited = hosts.edit("on premises", HostInput(secret="env:NEW", types=["Tour"], community="Birch House"))
    birch = Directory(connection).community("Birch House").community_id
    tour = Directory(connection).activity_type("Tour").type_id
    assert edited == replace(host, secret="env:NEW", type_ids=frozenset({tour}), community_id=birch)
    assert Accounts(connection).accounts(host="on premises") == [account]
    assert hosts.edit("on premises", HostInput(community="all", types=[])).type_ids == frozenset()
    with pytest.raises(InputError, match="service account's name is missing"):
        hosts.edit("on premises", HostInput(service_user=""))


def test_a_ca_bundle_can_be_taken_away(hosts: Hosts, tmp_path: Path) -> None:
    """An empty text clears what may be empty."""
    (tmp_path / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    assert hosts.add("on premises", replace(ON_PREMISES, ca_bundle=str(tmp_path / "ca.pem"))).ca_bundle
    assert hosts.edit("on premises", HostInput(ca_bundle="")).ca_bundle == ""


@pytest.mark.req("H2")
def test_a_community_s_own_host_goes_before_the_company_s(hosts: Hosts, connection: Connection) -> None:
    """A community with a host of its own is served by it, every other by the company's; one registration may be on both."""
    maple, birch = (Directory(connection).community(each).community_id for each in ("Maple Court", "Birch House"))
    company = hosts.add("company", OFFICE_365)
    own = hosts.add("maple", replace(OFFICE_365, community="Maple Court"))
    assert own.client_id == company.client_id
    assert hosts.serving([maple]) == [own]
    assert hosts.serving([birch]) == [company]
    assert hosts.serving([birch, maple]) == [own]
    assert hosts.serving([]) == [company]


def test_an_unknown_host_is_answered_with_those_there_are(hosts: Hosts) -> None:
    """A host that does not exist is `NotThere`, with the names of those that do."""
    hosts.add("on premises", ON_PREMISES)
    with pytest.raises(NotThere, match=r"no host exchange \(known: on premises\)"):
        hosts.get("exchange")
