"""Must show 1 and 2 of email: sent over real HTTP in each access type; what the recipient's mailbox holds is what was written; each refusal has its record."""

from __future__ import annotations

import base64
import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import stamina

from ops_lib.mailbox.ews.transport import close_connections
from ops_lib.sandbox.server import Sandbox
from ops_lib.workspace import Workspace
from tests.mail.conftest import picture
from tests.support.command_line import CommandLine
from tests.support.sandbox import ALICE, BOB, CAROL, SERVICE, outlook_account

SEND = (
    "send",
    "--user",
    ALICE,
    "--to",
    "Bo Example",
    "--subject",
    "Your visit",
    "--text",
    "Dear Bo,\n\nsee you — Alice",
    "--json",
)


@pytest.fixture
def office(run: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[CommandLine]:
    """Alice of Elm Court, two individuals who read bob's and carol's mailboxes, one outside and one without an address."""
    monkeypatch.setenv("SVC_PASSWORD", sandbox.passwords[SERVICE])
    monkeypatch.setenv("ALICE_PASSWORD", sandbox.passwords[ALICE])
    run("community", "add", "Elm Court")
    run("user", "add", "--email", ALICE, "--name", "Alice Archer", "--community", "Elm Court")
    for name, address in (
        ("Bo Example", BOB),
        ("Carla Öz", CAROL),
        ("Out Example", "out@elsewhere.example"),
        ("Nemo Example", ""),
    ):
        run("individual", "add", name, *(["--email", address] if address else []), "--community", "Elm Court")
    with stamina.set_testing(True, attempts=4):
        yield run
    close_connections()


def host(
    run: CommandLine, sandbox: Sandbox, access: str = "impersonation", version: str = "Office 365", *more: str
) -> None:
    """A host that sends, with alice's account."""
    run(
        "host", "add", "H", "--url", sandbox.ews_url, "--auth", "basic", "--access", access, "--version", version,
        "--types", "Tour", "--send-email", "--community", "all", *more,
        *(["--service-user", SERVICE, "--password-env", "SVC_PASSWORD"] if access != "direct" else []),
    )  # fmt: skip
    own = ["--password-env", "ALICE_PASSWORD"] if access == "direct" else []
    run("account", "add", "--host", "H", "--user", ALICE, "--send-email", *own)


def received(sandbox: Sandbox, address: str) -> list[Any]:
    """What lies in somebody's Inbox, as the real client reads it, oldest first."""
    account = outlook_account(sandbox, address)
    try:
        return list(account.inbox.all().order_by("datetime_received"))
    finally:
        account.protocol.close()


def mime(message: Any) -> EmailMessage:
    parsed = email.message_from_bytes(message.mime_content, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def record(run: CommandLine) -> list[tuple[str, str, str]]:
    return [(each["description"], each["status"], each["notes"]) for each in run("activity", "list", "--json").json]


def status(run: CommandLine) -> tuple[str, str]:
    [row] = [each for each in run("status", "--json").json if each["process"] == "email"]
    return row["status"], row["sub_cause"]


@pytest.mark.req("E1", "E2")
@pytest.mark.parametrize("version", ["2016", "Office 365"])
@pytest.mark.parametrize("access", ["impersonation", "delegate", "direct"])
def test_sent_as_the_user_in_each_access_type(office: CommandLine, sandbox: Sandbox, access: str, version: str) -> None:
    """The recipient sees the user, as From and as Sender; the copy lies with whoever sent; the activity is Completed with the body as its note."""
    if access == "delegate":
        sandbox.organisation.grant_sending(ALICE, SERVICE, "SendAs")
        sandbox.organisation.revoke_impersonation(SERVICE)
    host(office, sandbox, access, version)
    sent = office(*SEND).json
    assert (sent["outcome"], sent["from"], sent["to"]) == ("accepted", ALICE, [BOB])

    [message] = received(sandbox, BOB)
    assert (message.author.email_address, message.sender.email_address) == (ALICE, ALICE)
    assert [(each.name, each.email_address) for each in message.to_recipients] == [("Bo Example", BOB)]
    assert message.subject == "Your visit"
    parsed = mime(message)
    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content().replace("\r\n", "\n").strip() == "Dear Bo,\n\nsee you — Alice"
    assert parsed["From"].addresses[0].addr_spec == ALICE

    keeper = SERVICE if access == "delegate" else ALICE
    mailbox = sandbox.organisation.mailbox(keeper)
    assert [len(mailbox.folder(each).items) for each in ("sentitems", "drafts")] == [1, 0]
    assert record(office) == [("Your visit", "Completed", "Dear Bo,\n\nsee you — Alice")]
    assert status(office) == ("Syncing", "")


@pytest.mark.req("E1")
def test_on_behalf_is_seen_as_that(office: CommandLine, sandbox: Sandbox) -> None:
    """A delegate with Send on Behalf only: From is the user, Sender the service account."""
    sandbox.organisation.grant_sending(ALICE, SERVICE, "SendOnBehalf")
    host(office, sandbox, "delegate")
    assert office(*SEND).json["outcome"] == "accepted"
    [message] = received(sandbox, BOB)
    assert (message.author.email_address, message.sender.email_address) == (ALICE, SERVICE)


@pytest.mark.req("E5", "E6")
def test_formatted_with_picture_attachment_and_link_to_several(
    office: CommandLine, sandbox: Sandbox, tmp_path: Path, page: Any
) -> None:
    """What the mailboxes of both hold is what was written: HTML with its picture inside, the attachment byte for byte; a browser shows it all."""
    host(office, sandbox)
    (tmp_path / "house.png").write_bytes(picture(160, 90))
    (tmp_path / "Preise für 2027.pdf").write_bytes(bytes(range(256)) * 300)
    (tmp_path / "body.html").write_text(
        '<h1>Welcome to {{ community.name }}</h1><p>Our <a href="https://crm.example/prices">prices</a> <img src="cid:house" alt="The house"></p>'
        "<p>Grüße 😀, {{ user.name }}</p>"
    )
    office(
        "template", "add", "Visit", "--html", "--subject", "Welcome, both", "--body-file", str(tmp_path / "body.html")
    )
    sent = office(
        "send", "--user", ALICE, "--to", "Bo Example", "--to", "Carla Öz", "--template", "Visit", "--json",
        "--picture", f"house={tmp_path / 'house.png'}", "--attach", str(tmp_path / "Preise für 2027.pdf"),
    ).json  # fmt: skip
    assert (sent["outcome"], sent["to"], len(sent["activities"])) == ("accepted", [BOB, CAROL], 2)
    note = "Welcome to Elm Court\nOur prices (https://crm.example/prices) [The house]\nGrüße 😀, Alice Archer"
    assert record(office) == [("Welcome, both", "Completed", note)] * 2

    for reader in (BOB, CAROL):
        [message] = received(sandbox, reader)
        parsed = mime(message)
        assert {each.addr_spec for each in parsed["To"].addresses} == {BOB, CAROL}
        files = {part.get_filename(): part for part in parsed.walk() if part.get_filename()}
        assert files["Preise für 2027.pdf"].get_payload(decode=True) == bytes(range(256)) * 300
        inline = files["house.png"]
        assert (inline["Content-ID"], inline.get_content_disposition()) == ("<house>", "inline")
        assert inline.get_payload(decode=True) == picture(160, 90)

    html = parsed.get_body(("html",)).get_content()  # type: ignore[union-attr]
    shown = base64.b64encode(picture(160, 90)).decode()
    page.set_content(html.replace("cid:house", f"data:image/png;base64,{shown}"))
    assert page.inner_text("body").split() == [
        "Welcome",
        "to",
        "Elm",
        "Court",
        "Our",
        "prices",
        "Grüße",
        "😀,",
        "Alice",
        "Archer",
    ]
    assert page.evaluate("document.images[0].naturalWidth") == 160
    assert page.get_attribute("a", "href") == "https://crm.example/prices"


@pytest.mark.req("E6")
def test_names_from_the_crm_stay_names(office: CommandLine, sandbox: Sandbox, page: Any) -> None:
    """Markup in a name is shown as written and runs nothing; what would pass for an address or another header is no display name."""
    host(office, sandbox)
    evil = "<script>document.title='owned'</script><b>Eve"
    office("individual", "add", evil, "--email", BOB)
    office("individual", "add", "boss@bank.example", "--email", CAROL)
    office("template", "add", "T", "--html", "--subject", "Hello", "--body", "<p>Dear {{ individual.name }}</p>")
    office("send", "--user", ALICE, "--to", evil, "--template", "T")
    office("send", "--user", ALICE, "--to", "boss@bank.example", "--template", "T")
    parsed = mime(received(sandbox, BOB)[0])
    assert [each.addr_spec for each in parsed["To"].addresses] == [BOB]
    page.set_content(parsed.get_body(("html",)).get_content())  # type: ignore[union-attr]
    assert page.inner_text("p") == f"Dear {evil}"
    assert page.title() == ""
    [address] = mime(received(sandbox, CAROL)[0])["To"].addresses
    assert (address.addr_spec, address.display_name) == (CAROL, "")


@pytest.mark.req("E1")
def test_an_individual_without_an_address(office: CommandLine, sandbox: Sandbox) -> None:
    """The warning before sending: nothing is asked of the server, and nothing is put on record."""
    host(office, sandbox)
    answer = office("send", "--user", ALICE, "--to", "Nemo Example", "--subject", "x", "--text", "y", exit_code=2)
    assert "individual Nemo Example: there is no email address" in answer.stderr
    assert (record(office), sandbox.requests.total()) == ([], 0)


@pytest.mark.req("E1", "E4")
@pytest.mark.parametrize("missing", ["account", "account's switch", "host's switch", "retired host"])
def test_sending_that_is_not_set_up(office: CommandLine, sandbox: Sandbox, missing: str) -> None:
    """The warning says what is missing; only the Completed activity and its note are made, and no server is asked."""
    if missing != "account":
        host(office, sandbox)
    if missing == "account's switch":
        office("account", "enable", ALICE, "--no-send-email")
    if missing == "host's switch":
        office("host", "edit", "H", "--no-send-email")
    if missing == "retired host":
        office("host", "retire", "H")
    answer = office(*SEND)
    assert answer.json["outcome"] == "recorded"
    assert "sending is not set up" in answer.stderr
    assert "To mend it: syncops" in answer.stderr
    assert record(office) == [("Your visit", "Completed", "Dear Bo,\n\nsee you — Alice")]
    assert (sandbox.organisation.sent, sandbox.requests.total()) == ([], 0)


REFUSALS = [
    ("ErrorSendAsDenied", "SendItem", "Denied Access (Forbidden)"),
    ("ErrorQuotaExceeded", "CreateItem", "Error - Not Syncing"),
    ("ErrorMessageSizeExceeded", "SendItem", "Unattempted"),
    ("ErrorMailRecipientNotFound", "SendItem", "Unattempted"),
    ("ErrorImpersonateUserDenied", "CreateItem", "Impersonation Failed"),
    ("ErrorNonExistentMailbox", "CreateItem", "Mailbox Not Setup on EWS"),
]


@pytest.mark.req("E3", "T1")
@pytest.mark.parametrize(("code", "operation", "becomes"), REFUSALS)
def test_what_the_server_refuses(
    office: CommandLine, sandbox: Sandbox, code: str, operation: str, becomes: str
) -> None:
    """One try, a Cancelled activity ending in Failed to Send with the reason, the status that the code means, and no draft left."""
    host(office, sandbox)
    sandbox.faults.add({"operation": operation, "mailbox": "*", "nth": 1, "fault": {"response_code": code}})
    answer = office(*SEND, exit_code=1)
    assert (answer.json["outcome"], answer.json["response_code"]) == ("refused", code)
    [(description, state, note)] = record(office)
    assert (description, state) == ("Your visit Failed to Send", "Cancelled")
    assert note.startswith("Not sent: ")
    assert code in note
    assert note.endswith("Dear Bo,\n\nsee you — Alice")
    assert status(office)[0] == becomes
    assert sandbox.requests.total("SendItem") <= 1
    assert sandbox.organisation.sent == []
    assert not sandbox.organisation.mailbox(ALICE).folder("drafts").items


@pytest.mark.req("E3")
def test_no_right_to_send_as_the_user(office: CommandLine, sandbox: Sandbox) -> None:
    """A delegate without Send As is refused by the server itself; the reason names the right, and its draft is removed."""
    host(office, sandbox, "delegate")
    answer = office(*SEND, exit_code=1).json
    assert (answer["response_code"], answer["fix"]) == ("ErrorSendAsDenied", "grant Send As on the mailbox.")
    assert record(office)[0][:2] == ("Your visit Failed to Send", "Cancelled")
    assert not sandbox.organisation.mailbox(SERVICE).folder("drafts").items
    [row] = [each for each in office("status", "--json").json if each["process"] == "email"]
    assert (row["status"], row["owner"]) == ("Denied Access (Forbidden)", "the customer's Exchange administrator")
    assert row["sub_cause"].startswith("the service account may not send as the user")
    assert "Send As on the mailbox: syncops rights script" in row["next_step"]


@pytest.mark.req("E3")
def test_a_wrong_password_is_sent_once(office: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused at the door: Cancelled, Unauthorized, and the password is not tried again by the next message."""
    host(office, sandbox)
    monkeypatch.setenv("SVC_PASSWORD", "wrong")
    close_connections()
    for _ in range(2):
        assert office(*SEND, exit_code=1).json["outcome"] == "refused"
    assert sandbox.requests.document()["counts"][0]["requests"] == 1
    assert status(office)[0] == "Unauthorized"


@pytest.mark.req("E3")
def test_larger_than_the_organisation_allows(office: CommandLine, sandbox: Sandbox, tmp_path: Path) -> None:
    """An attachment that grows beyond what the server takes is refused with its code; one that stays below it goes, byte for byte."""
    host(office, sandbox)
    sandbox.organisation.largest_message_bytes = 1_000_000
    big = tmp_path / "plan.bin"
    for size, outcome in ((800_000, "refused"), (700_000, "accepted")):
        big.write_bytes(bytes(range(100)) * (size // 100))
        answer = office(*SEND, "--attach", str(big), exit_code=int(outcome == "refused")).json
        assert (answer["outcome"], answer["response_code"]) == (
            outcome,
            "" if outcome == "accepted" else "ErrorMessageSizeExceeded",
        )
    assert [each.attachments[0].content for each in received(sandbox, BOB)] == [big.read_bytes()]


@pytest.mark.req("E2")
def test_an_address_that_nobody_has(office: CommandLine, sandbox: Sandbox) -> None:
    """Exchange accepts it and reports later: the activity is Completed, and the report lies in the user's Inbox, where replies go too."""
    host(office, sandbox)
    office("individual", "add", "Gone Example", "--email", "gone@example.test")
    answer = office("send", "--user", ALICE, "--to", "Gone Example", "--subject", "x", "--text", "y", "--json").json
    assert answer["outcome"] == "accepted"
    assert [each.subject for each in received(sandbox, ALICE)] == ["Undeliverable: x"]


@pytest.mark.req("E7")
@pytest.mark.parametrize("version", ["2016", "Office 365"])
@pytest.mark.parametrize("operation", ["CreateItem", "SendItem"])
@pytest.mark.parametrize(
    "fault",
    [
        {"drop": "after"},
        {"drop": "before"},
        {"status": 503},
        {"status": 500, "body": "x", "applied": True},
        {"truncate": "length"},
        {"response_code": "ErrorServerBusy", "back_off_milliseconds": 10},
        {"twice": True},
    ],
    ids=str,
)
def test_answers_that_are_lost(
    office: CommandLine, sandbox: Sandbox, operation: str, fault: dict[str, Any], version: str
) -> None:
    """Lost, cut short, repeated by a proxy, throttled: the recipient has one message, the record one Completed activity, Drafts nothing."""
    host(office, sandbox, version=version)
    assert office(*SEND).json["outcome"] == "accepted"  # from here on an on-premises server is known to take drafts
    sandbox.faults.add({"operation": operation, "mailbox": "*", "nth": 1, "fault": fault})
    assert office(*SEND).json["outcome"] == "accepted"
    assert len(received(sandbox, BOB)) == 2
    assert [state for _, state, _ in record(office)] == ["Completed"] * 2
    assert not sandbox.organisation.mailbox(ALICE).folder("drafts").items


@pytest.mark.req("E2", "E7")
@pytest.mark.parametrize("status", [429, 503])
def test_done_by_a_server_that_says_it_is_away(
    office: CommandLine, sandbox: Sandbox, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every try to submit is answered with a pause, and the first was carried out: the message waits, is found when the server is back, and goes out once."""
    host(office, sandbox)
    sandbox.faults.add(
        {"operation": "SendItem", "mailbox": "*", "every": 1, "fault": {"status": status, "applied": True}}
    )
    assert office(*SEND, exit_code=1).json["outcome"] == "waiting"
    assert record(office) == []
    sandbox.faults.clear()
    monkeypatch.setenv("SYNCOPS_NOW", "2026-11-23T10:00:00Z")
    assert [each["outcome"] for each in office("send", "--resume", "--json").json] == ["accepted"]
    assert len(received(sandbox, BOB)) == 1
    assert [state for _, state, _ in record(office)] == ["Completed"]


@pytest.mark.req("E2", "E3")
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 403, "body": "x", "applied": True},
        {"status": 404, "body": "x", "applied": True},
        {"response_code": "ErrorAccessDenied", "applied": True},
    ],
    ids=str,
)
def test_done_by_a_server_that_refuses_it(office: CommandLine, sandbox: Sandbox, fault: dict[str, Any]) -> None:
    """The submission is refused on its way back, and the copy is in Sent Items: it is on record as sent, not as Failed to Send."""
    host(office, sandbox)
    sandbox.faults.add({"operation": "SendItem", "mailbox": "*", "nth": 1, "fault": fault})
    assert office(*SEND).json["outcome"] == "accepted"
    assert len(received(sandbox, BOB)) == 1
    assert [state for _, state, _ in record(office)] == ["Completed"]


@pytest.mark.req("E7", "T2")
def test_throttled_for_long(office: CommandLine, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server asks for ten minutes: the message waits for so long, without a record, as does the next one without a request, and then each goes out once."""
    host(office, sandbox)
    rule = sandbox.faults.add(
        {
            "operation": "CreateItem",
            "mailbox": "*",
            "every": 1,
            "fault": {"response_code": "ErrorServerBusy", "back_off_milliseconds": 600_000},
        }
    )
    assert office(*SEND, exit_code=1).json["outcome"] == "waiting"
    assert record(office) == []
    [row] = office("send", "--list", "--json").json
    assert (row["state"], row["next_try"], row["response_code"]) == ("open", "2026-11-23T09:10:00Z", "ErrorServerBusy")
    assert office("send", "--resume", "--json").json == []
    asked = sandbox.requests.total()
    another = office(*SEND, exit_code=1).json
    assert (another["outcome"], another["response_code"]) == ("waiting", "ErrorServerBusy")
    assert "left alone until 09:10:00 UTC" in another["reason"]
    assert sandbox.requests.total() == asked  # asking earlier would prolong it
    sandbox.faults.remove(rule.id)
    monkeypatch.setenv("SYNCOPS_NOW", "2026-11-23T09:10:00Z")
    assert [each["outcome"] for each in office("send", "--resume", "--json").json] == ["accepted"] * 2
    assert len(received(sandbox, BOB)) == 2
    assert status(office) == ("Syncing", "")


@pytest.mark.req("E3", "E7")
def test_what_waits_can_be_given_up_or_sent_again(office: CommandLine, sandbox: Sandbox) -> None:
    """A person's word on a message that waits: given up, it is Cancelled and never sent; again, it is sent at once."""
    host(office, sandbox)
    for _ in range(2):
        sandbox.faults.add(
            {"operation": "CreateItem", "mailbox": "*", "every": 1, "times": 4, "fault": {"status": 503}}
        )
        assert office(*SEND, exit_code=1).json["outcome"] == "waiting"
    assert "it was given up by hand" in office("send", "--give-up", "1").stdout
    assert "sent. On record as activity 2" in office("send", "--again", "2").stdout
    assert [each[:2] for each in record(office)] == [
        ("Your visit Failed to Send", "Cancelled"),
        ("Your visit", "Completed"),
    ]
    assert "message 1: it is refused already" in office("send", "--again", "1", exit_code=2).stderr
    assert len(received(sandbox, BOB)) == 1


@pytest.mark.req("E7")
def test_what_waits_goes_with_the_next_message(office: CommandLine, sandbox: Sandbox) -> None:
    """A message that waits is taken up when another of the same account has gone out."""
    host(office, sandbox)
    sandbox.faults.add({"operation": "CreateItem", "mailbox": "*", "every": 1, "times": 4, "fault": {"status": 503}})
    assert office(*SEND, exit_code=1).json["outcome"] == "waiting"
    answer = office("send", "--user", ALICE, "--to", "Carla Öz", "--subject", "Second", "--text", "y")
    assert "message 1, which waited: 'Your visit'" in answer.stderr
    assert [len(received(sandbox, each)) for each in (BOB, CAROL)] == [1, 1]


@pytest.mark.req("E1")
def test_the_communitys_own_host_sends(office: CommandLine, sandbox: Sandbox) -> None:
    """With a host of the community and one of the company, mail for the community's individual goes through its own; else through the company's."""
    host(office, sandbox)
    office(
        "host", "add", "Own", "--url", sandbox.ews_url, "--auth", "basic", "--access", "impersonation", "--version", "Office 365",
        "--types", "Tour", "--send-email", "--community", "Elm Court", "--service-user", SERVICE, "--password-env", "SVC_PASSWORD",
    )  # fmt: skip
    assert office(*SEND).json["host"] == "H"  # she has no account on it yet
    office("account", "add", "--host", "Own", "--user", ALICE, "--send-email", "--no-calendar")
    assert office(*SEND).json["host"] == "Own"
    assert office(*SEND, "--host", "H").json["host"] == "H"
    office("account", "enable", ALICE, "--host", "Own", "--no-send-email", "--no-calendar")
    assert office(*SEND).json["host"] == "H"


@pytest.mark.req("E7")
def test_a_server_that_leaves_drafts(office: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where submitted drafts stay, an answered message is sent, and one whose answer was lost waits for a person's word."""
    with Sandbox(like="grommunio") as gromox:
        monkeypatch.setenv("SVC_PASSWORD", gromox.passwords[SERVICE])
        host(office, gromox, version="2016")
        assert office(*SEND).json["outcome"] == "accepted"
        gromox.faults.add({"operation": "SendItem", "mailbox": "*", "nth": 1, "fault": {"drop": "after"}})
        unclear = office(*SEND, exit_code=1).json
        assert unclear["outcome"] == "unclear"
        assert record(office)[1:] == []
        assert office("send", "--was-sent", unclear["id"], "--json").json[0]["outcome"] == "accepted"
        assert len(received(gromox, BOB)) == 2
        close_connections()


def test_the_intent_outlives_the_process(office: CommandLine, sandbox: Sandbox) -> None:
    """What is under way lies in the database with its attachments until it is settled, and they are gone after that."""
    from ops_lib.database import tables as t

    host(office, sandbox)
    sandbox.faults.add({"operation": "CreateItem", "mailbox": "*", "every": 1, "times": 4, "fault": {"status": 503}})
    office(*SEND, "--attach", __file__, exit_code=1)
    workspace = Workspace.open(office.workspace)

    def kept() -> list[bytes]:
        with workspace.database.read() as connection:
            return [row.content for row in connection.execute(t.outgoing_files.select())]

    assert kept() == [Path(__file__).read_bytes()]
    office("send", "--resume")
    assert kept() == []
    assert [each.attachments[0].content for each in received(sandbox, BOB)] == [Path(__file__).read_bytes()]
    workspace.close()
