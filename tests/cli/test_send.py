"""`syncops send` and `syncops template` as people type them; the sending itself is in tests/mail and tests/e2e/test_mail.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine

ALICE = "alice@example.test"


@pytest.fixture
def office(run: CommandLine) -> CommandLine:
    run("community", "add", "Elm Court")
    run("user", "add", "--email", ALICE, "--name", "Alice Archer", "--community", "Elm Court")
    run("individual", "add", "Ruth Example", "--email", "ruth@elsewhere.example")
    return run


@pytest.mark.req("E5")
def test_the_life_of_a_template(office: CommandLine, tmp_path: Path) -> None:
    """Added from text or file, listed, shown as entered, previewed for somebody, deleted; then it is not there."""
    (tmp_path / "body.html").write_text("<p>Dear {{ individual.name }}</p>\n")
    assert "added template Visit" in office(
        "template", "add", "Visit", "--subject", "Hi {{ user.first_name }}", "--body-file", str(tmp_path / "body.html"), "--html"
    ).stdout  # fmt: skip
    [listed] = office("template", "list", "--json").json
    assert listed == office("template", "show", "visit", "--json").json
    assert (listed["html"], listed["body"]) == (True, "<p>Dear {{ individual.name }}</p>\n")
    assert "formatted" in office("template", "list").stdout
    assert "Dear {{ individual.name }}" in office("template", "show", "Visit").stdout
    filled = office("template", "preview", "Visit", "--user", ALICE, "--to", "1", "--json").json
    assert filled == {"subject": "Hi Alice", "body": "<p>Dear Ruth Example</p>\n", "html": True}
    assert "Subject: Hi Alice" in office("template", "preview", "Visit", "--user", ALICE, "--to", "1").stdout
    assert "deleted template Visit" in office("template", "delete", "VISIT").stdout
    assert "there is no template Visit" in office("template", "show", "Visit", exit_code=2).stderr


@pytest.mark.req("E5")
def test_a_bad_template_is_refused_when_it_is_added(office: CommandLine) -> None:
    """A misspelt field is told with part, line and the fields there are; nothing is kept."""
    answer = office("template", "add", "T", "--subject", "x", "--body", "a\n{{ individual.nmae }}", exit_code=2)
    assert "template T, body, line 2: there is no field individual.nmae" in answer.stderr
    assert "individual.first_name" in answer.stderr
    assert office("template", "list", "--json").json == []


def test_another_template_of_the_same_name(office: CommandLine) -> None:
    """Adding one again that reads otherwise says that it stays as it is."""
    add = ("template", "add", "T", "--subject", "x", "--body")
    office(*add, "a")
    assert office(*add, "a").stdout == "template T exists already\n"
    assert "reads otherwise: it stays" in office(*add, "b").stdout


@pytest.mark.req("E4")
def test_sent_where_sending_is_not_set_up(office: CommandLine, tmp_path: Path) -> None:
    """A person reads what happened and why; a script reads one JSON document, and the warning stays off stdout."""
    (tmp_path / "body.txt").write_text("Dear Ruth")
    send = ("send", "--user", ALICE, "--to", "Ruth Example", "--subject", "Hello", "--body", str(tmp_path / "body.txt"))
    answer = office(*send)
    assert answer.stdout == (
        "'Hello' from alice@example.test to ruth@elsewhere.example: not sent, only put on record. On record as activity 1.\n"
    )
    assert answer.stderr.startswith("warning: sending is not set up: alice@example.test has no account")
    document = office(*send, "--json").json
    assert (document["outcome"], document["activities"]) == ("recorded", ["2"])
    assert [each["state"] for each in office("send", "--list", "--json").json] == ["recorded", "recorded"]
    assert "ruth@elsewhere.example" in office("send", "--list").stdout


@pytest.mark.req("E1")
def test_a_preview_keeps_nothing(office: CommandLine, tmp_path: Path) -> None:
    """The preview shows sender, recipients, way, files and text; nothing is sent and nothing is on record."""
    (tmp_path / "plan.txt").write_text("12345")
    send = (
        "send",
        "--user",
        ALICE,
        "--to",
        "1",
        "--subject",
        "Hello",
        "--text",
        "Dear Ruth",
        "--attach",
        str(tmp_path / "plan.txt"),
    )
    shown = office(*send, "--preview").stdout
    for line in (
        "From:    alice@example.test",
        "To:      Ruth Example <ruth@elsewhere.example>",
        "File:    plan.txt, text/plain, 5 bytes",
        "Dear Ruth",
    ):
        assert line in shown
    document = office(*send, "--dry-run", "--json").json
    assert (document["would"], document["files"][0]["bytes"], document["host"]) == ("record", 5, None)
    assert office("send", "--list", "--json").json == office("activity", "list", "--json").json == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "it is not clear what is to be done"),
        (["--resume", "--list"], "it is not clear what is to be done"),
        (["--user", ALICE], "a message has a sender and goes to somebody"),
        (["--to", "1"], "a message has a sender and goes to somebody"),
        (["--user", ALICE, "--to", "1", "--text", "x", "--body", "x"], "a message has one body"),
        (["--user", ALICE, "--to", "1", "--body", "missing.txt"], "the body cannot be read"),
        (["--user", ALICE, "--to", "1", "--picture", "house.png"], "does not say which picture is what"),
        (["--user", ALICE, "--to", "1", "--attach", "missing.pdf"], "cannot be read"),
        (["--again", "7"], "there is no message 7"),
        (["--give-up", "x"], "there is no message x"),
    ],
)
def test_what_was_not_meant(office: CommandLine, arguments: list[str], reason: str) -> None:
    """Options that do not belong together, and files that are not there, end with exit code 2, one line and the mend."""
    answer = office("send", *arguments, exit_code=2)
    assert reason in answer.stderr
    assert "To mend it:" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_nothing_waits(office: CommandLine) -> None:
    """With nothing to take up, resuming says so and ends well; a settled message cannot be decided again."""
    assert office("send", "--resume").stdout == "nothing waits whose time has come\n"
    office("send", "--user", ALICE, "--to", "1", "--subject", "Hello", "--text", "x")
    assert "message 1: it is recorded already" in office("send", "--was-sent", "1", exit_code=2).stderr
