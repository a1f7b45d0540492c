"""`syncops community | user | activity-type | individual | template`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import CommandLine


def test_master_data_is_added_and_listed(run: CommandLine, tmp_path: Path) -> None:
    """What was added is in the list, in JSON with ids as strings."""
    run("community", "add", "Maple Court", "--time-zone", "America/New_York")
    run("user", "add", "--email", "Alice@Example.test", "--name", "Alice", "--community", "Maple Court", "--admin")
    run("activity-type", "add", "Garden Walk", "--master-type", "Tour", "--face-to-face")
    ruth = run("individual", "add", "Ruth Example", "--kind", "resident", "--community", "Maple Court")
    (tmp_path / "hello.txt").write_text("How are you?\n")
    run("template", "add", "Hello", "--subject", "Hello", "--body-file", str(tmp_path / "hello.txt"))

    assert run("community", "list", "--json").json == [
        {"id": "1", "name": "Maple Court", "time_zone": "America/New_York"}
    ]
    assert run("user", "list", "--json").json == [
        {
            "id": "1",
            "email": "alice@example.test",
            "name": "Alice",
            "time_zone": "America/New_York",
            "admin": True,
            "communities": ["Maple Court"],
        }
    ]
    types = {each["name"]: each for each in run("activity-type", "list", "--json").json}
    assert types["Garden Walk"] == types["Garden Walk"] | {"master_type": "Tour", "face_to_face": True}
    assert ruth.json == {"id": "1"}
    assert run("individual", "list", "--json").json == [
        {"id": "1", "name": "Ruth Example", "kind": "resident", "email": "", "community": "Maple Court"}
    ]
    assert run("template", "list", "--json").json == [
        {"id": "1", "name": "Hello", "subject": "Hello", "body": "How are you?\n", "html": False}
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["community", "add", "Maple Court"],
        ["user", "add", "--email", "alice@example.test", "--name", "Alice"],
        ["activity-type", "add", "Garden Walk"],
        ["individual", "add", "Ruth Example"],
        ["template", "add", "Hello", "--subject", "Hello", "--body", "Hello"],
    ],
)
def test_adding_twice_says_so(run: CommandLine, arguments: list[str]) -> None:
    """Adding what exists already ends well and says so."""
    first = run(*arguments)
    assert "added" in first.stdout + first.stderr
    second = run(*arguments)
    assert "exists already" in second.stdout + second.stderr
    assert len(run(arguments[0], "list", "--json").json) == (14 if arguments[0] == "activity-type" else 1)


def test_a_user_joins_another_community(run: CommandLine) -> None:
    """Adding a user again with a community that is new to them says what they joined."""
    for name in ("Maple Court", "Birch House"):
        run("community", "add", name)
    run("user", "add", "--email", "alice@example.test", "--name", "Alice", "--community", "Maple Court")
    again = run("user", "add", "--email", "alice@example.test", "--name", "Alice", "--community", "Birch House")
    assert again.stdout == "user alice@example.test exists already; joined Birch House\n"
    assert run("user", "list", "--json").json[0]["communities"] == ["Maple Court", "Birch House"]


def test_tables_show_what_was_typed(run: CommandLine) -> None:
    """A table shows names as they are, even those that look like markup, and says so when there is nothing."""
    assert "no individuals yet" in run("individual", "list").stdout
    run("individual", "add", "Ruth [bold] Example")
    run("user", "add", "--email", "alice@example.test", "--name", "Alice")
    assert "Ruth [bold] Example" in run("individual", "list").stdout
    assert "alice@example.test" in run("user", "list").stdout


def test_a_template_has_one_body(run: CommandLine, tmp_path: Path) -> None:
    """No body, two bodies, and a file that cannot be read are refused."""
    template = ["template", "add", "Hello", "--subject", "Hello"]
    assert "one body" in run(*template, exit_code=2).stderr
    missing = str(tmp_path / "missing.txt")
    assert "one body" in run(*template, "--body", "x", "--body-file", missing, exit_code=2).stderr
    assert "missing.txt: the body cannot be read" in run(*template, "--body-file", missing, exit_code=2).stderr
