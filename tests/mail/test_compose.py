"""What is said before anything is sent: who can, to whom, with what, and how much of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops_lib.crm.directory import Directory
from ops_lib.errors import InputError, NotThere, OpsError
from ops_lib.mail import compose
from ops_lib.mail.compose import Letter, read_file
from ops_lib.mail.send import Mailer
from ops_lib.mailbox.outgoing import File
from ops_lib.workspace import Workspace
from tests.mail.conftest import activities, add_host, picture
from tests.support.memory_post import MemoryServer
from tests.support.sandbox import ALICE, BOB, CAROL

LETTER = Letter(user=ALICE, to=("Ruth Example",), subject="Hello", text="Dear Ruth")
HOUSE = File(name="house.png", content_type="image/png", content=picture(), content_id="house")
PLAN = File(name="plan.pdf", content_type="application/pdf", content=b"%PDF-")


def refused(mailer: Mailer, letter: Letter) -> OpsError:
    """Why a letter cannot be sent; sending it says the same as its preview, and leaves nothing behind."""
    with pytest.raises((InputError, NotThere)) as previewed:
        mailer.preview(letter)
    with pytest.raises((InputError, NotThere)) as sent:
        mailer.send(letter)
    assert str(previewed.value) == str(sent.value)
    assert mailer.listed() == []
    assert sent.value.fix
    return sent.value


@pytest.mark.req("E1", "E6")
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"to": ()}, "goes to nobody"),
        ({"to": ("Nobody",)}, "there is no individual Nobody"),
        ({"to": ("Nemo Example",)}, "there is no email address"),
        ({"to": ("Ruth Example", "Nemo Example")}, "there is no email address"),
        ({"to": ("1",) * 501}, "more than one message takes"),
        ({"user": "nobody@example.test"}, "there is no CRM user"),
        ({"host": "Nowhere"}, "there is no host Nowhere"),
        ({"subject": ""}, "the subject is empty"),
        ({"subject": "a\r\nBcc: x@evil.example"}, "line break or control character"),
        ({"text": ""}, "the body is empty"),
        ({"text": " \n"}, "the body is empty"),
        ({"html": "<p>x</p>"}, "a message has one body"),
        ({"text": "", "html": "<p>x<script></script>"}, "<script>"),
        ({"text": "", "html": '<img src="cid:house">'}, "shows cid:house, and there is no such picture"),
        ({"text": "", "html": "<p>x</p>", "files": (HOUSE,)}, "does not show house"),
        ({"text": "", "html": '<img src="cid:house">', "files": (HOUSE, HOUSE)}, "two pictures are called house"),
        ({"text": "", "html": '<img src="cid:house">', "files": (replace(HOUSE, content=b"<svg/>"),)}, "no picture that mail programs show"),
        ({"text": "", "html": '<img src="cid:a b">', "files": (replace(HOUSE, content_id="a b"),)}, "cannot be a picture's name"),
        ({"files": (HOUSE,)}, "needs a formatted body"),
        ({"files": (replace(PLAN, name="\r\n"),)}, "no name for an attachment"),
        ({"files": (replace(PLAN, content=b"x" * 120_000_000),)}, "no server takes more than 150.0 MB"),
        ({"template": "Nope"}, "there is no template Nope"),
    ],
)  # fmt: skip
def test_what_cannot_be_sent(mailer: Mailer, server: MemoryServer, changes: dict[str, Any], reason: str) -> None:
    """Each is refused before anything reaches a server, with the reason and the mend, and leaves no trace."""
    assert reason in str(refused(mailer, replace(LETTER, **changes)))
    assert server.calls == 0


@pytest.mark.req("E6")
@pytest.mark.parametrize("version", ["2013", "2016", "2019", "SE"])
@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"to": ("1", "2")}, "several individuals"),
        ({"text": "", "html": "<p>x</p>"}, "formatted text"),
        ({"text": "", "html": '<img src="cid:house">', "files": (HOUSE,)}, "formatted text, pictures in the body"),
        ({"files": (PLAN,)}, "attachments"),
    ],
)
def test_other_hosts_send_plain_text_to_one(
    workspace: Workspace, version: str, changes: dict[str, Any], named: str
) -> None:
    """A host that is not Office 365 sends plain text to one individual; asking for more names what is too much and the host."""
    add_host(workspace, version=version)
    error = refused(Mailer(workspace), replace(LETTER, **changes))
    assert error.subject == "host H"
    assert f"; {named} need an Office 365 host" in error.message
    assert Mailer(workspace).preview(LETTER).warnings == ()


@pytest.mark.req("E6")
def test_one_message_to_several(mailer: Mailer, server: MemoryServer, workspace: Workspace) -> None:
    """Several individuals get one message, those with the same address one copy; each has the activity, named twice counts once."""
    letter = replace(LETTER, to=("Ruth Example", "Otto Öz", "Olga Example", "1"))
    result = mailer.send(letter)
    [message] = server.delivered
    assert message.recipients == (("Ruth Example", BOB), ("Otto Öz", CAROL))
    assert [each[2] for each in activities(workspace)] == ["Ruth Example", "Otto Öz", "Olga Example"]
    assert len(result.activity_ids) == 3
    assert any("each sees the others' names" in each for each in result.warnings)


@pytest.mark.req("E5")
def test_a_template_pre_fills(mailer: Mailer, workspace: Workspace) -> None:
    """Subject and body come from the template; what is given beside it goes before. For several it must read the same."""
    with workspace.database.begin() as connection:
        directory = Directory(connection)
        directory.add_template(
            "T", subject="Dear {{ individual.first_name }}", body="from {{ user.name }} of {{ community.name }}"
        )
    letter = Letter(user=ALICE, to=("Ruth Example",), template="t")
    composed = mailer.preview(letter)
    assert (composed.subject, composed.text) == ("Dear Ruth", "from Alice Archer of Elm Court")
    composed = mailer.preview(replace(letter, subject="Other", text="Else"))
    assert (composed.subject, composed.text) == ("Other", "Else")
    assert "reads otherwise for Otto Öz than for Ruth Example" in str(refused(mailer, replace(letter, to=("1", "2"))))


@pytest.mark.req("E5")
def test_which_community_a_template_names(workspace: Workspace) -> None:
    """The individual's; else the user's, where there is only one; else none, which is an error."""
    add_host(workspace)
    with workspace.database.begin() as connection:
        directory = Directory(connection)
        directory.add_community("Oak Court", time_zone="UTC")
        directory.add_individual("Ola Oak", email=BOB, community_name="Oak Court")
        directory.add_template("T", subject="S", body="{{ community.name }}")
    mailer = Mailer(workspace)
    letter = Letter(user=ALICE, to=("Ola Oak",), template="T")
    assert mailer.preview(letter).text == "Oak Court"
    assert mailer.preview(replace(letter, to=("Otto Öz",))).text == "Elm Court"
    with workspace.database.begin() as connection:
        Directory(connection).add_user(ALICE, "Alice", community_names=["Oak Court"])
    assert "there is no community to name" in str(refused(mailer, replace(letter, to=("Otto Öz",))))


@pytest.mark.req("E6")
def test_size_is_counted_as_it_travels(mailer: Mailer) -> None:
    """Attachments grow by a third and more on their way; what is then beyond the server's usual limit is warned of, host by host."""
    below, above = b"x" * 24_000_000, b"x" * 27_000_000
    composed = mailer.preview(replace(LETTER, files=(replace(PLAN, content=below),)))
    assert composed.size_bytes == pytest.approx(24_000_000 * 4 / 3 * 78 / 76, rel=0.001)
    assert composed.warnings == ()
    [warning] = mailer.preview(replace(LETTER, files=(replace(PLAN, content=above),))).warnings
    assert "36.9 MB" in warning
    assert "35.0 MB" in warning


@pytest.mark.req("E6")
def test_more_than_thirty_a_minute_is_said(mailer: Mailer) -> None:
    """The thirty-first message of an account within a minute is warned of, and goes all the same: Exchange Online lets it wait."""
    for _ in range(30):
        assert mailer.send(LETTER).warnings == ()
    result = mailer.send(LETTER)
    assert result.outcome == "accepted"
    assert "sends 30 a minute" in result.warnings[0]


def test_files_that_outlook_does_not_open(mailer: Mailer) -> None:
    """A program among the attachments is warned of, not refused: other mail programs may take it."""
    [warning] = mailer.preview(replace(LETTER, files=(replace(PLAN, name="setup.EXE"),))).warnings
    assert "setup.EXE" in warning


@pytest.mark.req("E4")
def test_only_on_record(workspace: Workspace, server: MemoryServer) -> None:
    """Without an account the warning says so; a Completed activity with its note is all that is made, formatted bodies as text."""
    result = Mailer(workspace).send(
        replace(LETTER, text="", html='<p>Dear <b>Ruth</b>, <a href="https://x.example">see</a></p>')
    )
    assert (result.outcome, result.host, server.calls) == ("recorded", "", 0)
    assert "alice@example.test has no account" in result.warnings[0]
    assert activities(workspace) == [("Hello", "Completed", "Ruth Example", "Dear Ruth, see (https://x.example)")]


def test_pictures_are_known_by_what_they_hold(tmp_path: Path, mailer: Mailer) -> None:
    """The kind of a picture is read off its bytes, whatever its name says."""
    path = tmp_path / "house.jpg"
    path.write_bytes(picture())
    file = read_file(path, content_id="h")
    assert file.content_type == "image/jpeg"
    [kept] = mailer.preview(replace(LETTER, text="", html='<img src="cid:h">', files=(file,))).files
    assert (kept.name, kept.content_type) == ("house.jpg", "image/png")


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not there, is a folder, or is larger than any server takes is refused by its name."""
    (tmp_path / "big").write_bytes(b"12345")
    for name in ("missing", "."):
        with pytest.raises(InputError, match="cannot be read"):
            read_file(tmp_path / name)
    monkeypatch.setattr(compose, "MOST_SIZE", 4)
    with pytest.raises(InputError, match="more than"):
        read_file(tmp_path / "big")
