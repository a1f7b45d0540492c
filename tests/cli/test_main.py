"""The command line as a whole: it answers at once, errors are one line, and every command is where the list says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from ops_lib import cli
from ops_lib.cli import COMMANDS
from tests.support.command_line import CommandLine

# Typer itself needs pydantic for the options of a subcommand, but not for the list of commands.
HEAVY = ("sqlalchemy", "alembic", "pandas", "exchangelib", "lxml", "msal", "altair", "jinja2", "starlette")


def _process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNCOPS_")}
    return subprocess.run(
        [sys.executable, "-m", "ops_lib.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=inherited | environment,
    )


@pytest.mark.parametrize(
    ("arguments", "heavy"),
    [(["--help"], (*HEAVY, "pydantic")), (["activity", "--help"], HEAVY), (["host", "add", "--help"], HEAVY)],
)
def test_help_imports_nothing_heavy(arguments: list[str], heavy: tuple[str, ...]) -> None:
    """Whoever asks for help does not wait for a database, a table library or a mail client."""
    code = (
        "import sys\nfrom ops_lib.cli import app\n"
        f"try:\n    app({arguments!r})\nexcept SystemExit as end:\n    assert not end.code\n"
        f"sys.stderr.write(','.join(sorted(set({heavy!r}) & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "Usage:" in done.stdout


def test_every_command_is_where_the_list_says(run: CommandLine) -> None:
    """Each command of the list that is there can be loaded, explains itself, and has the name it is listed under."""
    help_text = run("--help").stdout
    there = [each for each in COMMANDS if (Path(cli.__file__).parent / f"{each.where.partition(':')[0]}.py").exists()]
    assert {"init", "host", "account", "activity", "user"} <= {each.name for each in there}
    for each in there:
        assert each.help.partition(":")[0][:30] in help_text
        assert "Usage:" in run(each.name, "--help").stdout


def test_an_error_is_one_line_on_stderr(run: CommandLine) -> None:
    """What a person can act on: one line that begins with `error:` and holds the mend, exit code 2, and nothing on stdout."""
    answer = run(
        "activity", "add", "--user", "nobody@example.test", "--type", "Tour", "--description", "x", exit_code=2
    )
    assert answer.stdout == ""
    assert answer.stderr == (
        "error: there is no CRM user nobody@example.test. To mend it: syncops user list shows them; syncops user add makes one.\n"
    )


def test_a_command_that_does_not_exist_is_a_usage_error(run: CommandLine) -> None:
    """A misspelt command is answered with the one that was meant, exit code 2."""
    assert "Did you mean 'activity'" in run("activty", "list", exit_code=2).stderr


def test_the_workspace_may_be_named_anywhere(run: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--workspace` stands before the command or after it, and goes before the environment variable."""
    run("community", "add", "Maple Court")
    monkeypatch.setenv("SYNCOPS_WORKSPACE", str(tmp_path / "nowhere"))
    for arguments in (
        ["--workspace", str(run.workspace), "community", "list"],
        ["community", "list", "--workspace", str(run.workspace)],
        ["community", f"--workspace={run.workspace}", "list"],
    ):
        from typer.testing import CliRunner

        assert "Maple Court" in CliRunner().invoke(cli.app, arguments).stdout


def test_a_process_says_what_it_cannot_do() -> None:
    """Without a workspace the exit code is 2, stdout is empty, and the one line names `syncops init`."""
    done = _process("user", "list", SYNCOPS_WORKSPACE="/nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: /nowhere is no workspace")
    assert done.stderr.count("\n") == 1
    assert "syncops init DIR" in done.stderr


def test_a_fault_of_our_own_is_one_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unforeseen exception is one line as well, unless the traceback is asked for."""

    def fault() -> None:
        raise KeyError("the\nvalue")

    monkeypatch.setattr(cli, "app", fault)
    monkeypatch.delenv("SYNCOPS_TRACEBACK", raising=False)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("error: KeyError")
    monkeypatch.setenv("SYNCOPS_TRACEBACK", "1")
    with pytest.raises(KeyError):
        cli.main()


def test_an_interrupt_ends_with_130(run: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command quietly with the exit code that shells expect."""

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ops_lib.crm.directory.Directory.users", interrupted)
    assert run("user", "list", exit_code=130).stderr == ""


@pytest.mark.skipif(os.name != "posix", reason="pipes are POSIX")
def test_a_reader_who_has_had_enough_hears_nothing(run: CommandLine) -> None:
    """When whoever reads the output closes it, the command ends without a word."""
    for number in range(40):
        run("individual", "add", f"Ruth Example {number}")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "ops_lib.cli", "--workspace", str(run.workspace), "individual", "list", "--json"],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


def test_json_is_readable_by_a_terminal_that_knows_ascii_only(run: CommandLine) -> None:
    """Where stdout cannot say a character, JSON says it by its number."""
    run("individual", "add", "Zoë Łukasz")
    done = _process("individual", "list", "--json", SYNCOPS_WORKSPACE=str(run.workspace), PYTHONIOENCODING="ascii")
    assert '"Zo\\u00eb \\u0141ukasz"' in done.stdout


def test_the_version_is_said(run: CommandLine) -> None:
    """`--version` says which one this is."""
    from ops_lib import __version__

    assert run("--version").stdout == f"syncops {__version__}\n"


def test_init_makes_a_workspace_once(run: CommandLine, tmp_path: Path) -> None:
    """`init` makes a workspace, says so when it is one, and refuses a folder that holds other things."""
    assert "is a workspace now" in run("init", str(tmp_path / "new")).stdout
    assert "is a workspace already" in run("init", str(tmp_path / "new")).stdout
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "ruth.jpg").touch()
    assert "holds other things" in run("init", str(tmp_path / "photos"), exit_code=2).stderr


def test_the_sandbox_is_one_call_away(run: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`sandbox serve` hands over port, population, emptiness, manners and clock as they were given."""
    from ops_lib import sandbox

    calls: list[dict[str, object]] = []
    monkeypatch.setattr(sandbox, "serve", lambda **options: calls.append(options))
    run("sandbox", "serve", "--port", "8080", "--empty")
    run("sandbox", "serve", "--people", str(tmp_path / "people.yaml"), "--like", "grommunio")
    clocks = [options.pop("now") for options in calls]
    assert calls == [
        {"port": 8080, "people": None, "empty": True, "like": "exchange"},
        {"port": 0, "people": tmp_path / "people.yaml", "empty": False, "like": "grommunio"},
    ]
    assert {clock().isoformat() for clock in clocks} == {"2026-11-23T09:00:00+00:00"}  # type: ignore[operator]


def test_a_single_function_is_a_command() -> None:
    """A function named in the list needs no application of its own."""
    command = cli._load(next(each for each in COMMANDS if each.name == "init"))
    assert command.name == "init"
    assert isinstance(typer.main.get_command(cli.app), cli._Commands)
