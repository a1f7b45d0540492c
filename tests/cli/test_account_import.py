"""`syncops account import`: a preview, then all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine


@pytest.fixture
def users(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A workspace with a host, and alice and bob as CRM users."""
    monkeypatch.setenv("SVC_PASSWORD", "hunter2")
    run(
        "host", "add", "exchange", "--url", "https://mail.example.test/EWS/Exchange.asmx", "--auth", "ntlm",
        "--service-user", "svc", "--password-env", "SVC_PASSWORD",
    )  # fmt: skip
    for name in ("alice", "bob"):
        run("user", "add", "--email", f"{name}@example.test", "--name", name.title())
    return run


@pytest.mark.req("A10")
def test_a_preview_writes_nothing_and_apply_writes_all(users: CommandLine, tmp_path: Path) -> None:
    """The preview says what would be added; --apply adds it; again, both exist already."""
    file = tmp_path / "users.csv"
    file.write_bytes("sep=;\r\nUser;Send Email\r\nalice@example.test;ja\r\nbob@example.test;\r\n".encode("utf-16"))
    shown = users("account", "import", str(file))
    assert shown.stdout == "2 new, 0 exist already, 0 with a fault (utf-16, separated by ;)\n"
    assert "--apply writes it" in shown.stderr
    assert users("account", "list", "--json").json == []
    applied = users("account", "import", str(file), "--apply", "--json").json
    assert (applied["applied"], applied["counts"]) == (True, {"new": 2, "exists": 0, "fault": 0})
    assert [(each["mailbox"], each["send_email"]) for each in users("account", "list", "--json").json] == [
        ("alice@example.test", True),
        ("bob@example.test", False),
    ]
    assert users("account", "import", str(file), "--apply").stdout.startswith(
        "0 added, 2 exist already, 0 with a fault"
    )


@pytest.mark.req("A10")
def test_a_fault_stops_everything_that_was_asked_for(users: CommandLine, tmp_path: Path) -> None:
    """A preview with faults ends with 1 and shows them, --apply with 2 and writes nothing; the good lines alone are written."""
    file = tmp_path / "users.csv"
    file.write_text("user\nalice@example.test\nzoe@example.test\nbob@example.test\n")
    document = users("account", "import", str(file), "--json", exit_code=1).json
    assert document["rows"][1] == {
        "line": 3, "user": "zoe@example.test", "mailbox": "", "host": "", "outcome": "fault", "field": "user",
        "reason": "there is no CRM user zoe@example.test",
        "fix": "syncops user list shows them; syncops user add makes one.",
    }  # fmt: skip
    assert "zoe@example.test" in users("account", "import", str(file), exit_code=1).stdout
    refused = users("account", "import", str(file), "--apply", exit_code=2)
    assert "1 of 3 rows have a fault, and nothing was written" in refused.stderr
    assert users("account", "list", "--json").json == []
    users("account", "import", str(file), "--apply", "--lines", "2,4")
    assert len(users("account", "list", "--json").json) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.csv",), "cannot be read"),
        ((".",), "cannot be read"),
        (("users.csv", "--lines", "4-2"), "4-2 names no lines"),
        (("users.csv", "--lines", "all"), "all names no lines"),
        (("users.csv", "--lines", "9"), "no row on line 9"),
    ],
)
def test_what_cannot_be_imported_is_refused(
    users: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], words: str
) -> None:
    """A file that is not there, lines that are none: one line with the mend."""
    monkeypatch.chdir(tmp_path)
    Path("users.csv").write_text("user\nalice@example.test\n")
    answer = users("account", "import", *arguments, exit_code=2)
    assert words in answer.stderr
    assert "To mend it:" in answer.stderr
