"""The steps of the diagnosis' notebook, on cassettes and on a workspace's own records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ops_lib.errors import InputError, NotThere
from ops_lib.runbook import library
from ops_lib.runbook.session import Opened, steps_of
from ops_lib.runbook.steps.diagnose_status import FACTS_FILE, Replayed, Steps
from ops_lib.workspace import Workspace
from tests.support.planted import PLANTED

STEM = "diagnose_status"


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "PLANTED_SECRET", "SYNCOPS_NOW", "SYNCOPS_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def replayed(name: str) -> Iterator[Steps]:
    """The notebook after its first call, on a cassette."""
    opened = steps_of(STEM).open(f"cassette:{name}")
    assert isinstance(opened, Replayed)
    assert opened.stack is not None
    with opened.stack:
        yield Steps(STEM, opened)


@pytest.mark.req("R3", "T3", "T5")
@pytest.mark.parametrize("planted", PLANTED, ids=lambda each: each.name)
def test_every_cassette_is_told_to_its_end(planted: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each scenario, cell by cell: the status and the check that were planted, a next step, evidence, and the same again from the kept file."""
    name, status, leads = planted.name, planted.status, planted.leads  # type: ignore[attr-defined]
    with replayed(name) as run:
        run.folder = tmp_path
        run.accounts()
        run.choose()
        headline = run.look().text
        assert status in headline
        assert (f"begin with *{leads.replace('_', ' ')}*" if leads else "nothing is wrong") in headline
        said, findings = run.next_step().text, run.findings()
        if leads:
            assert findings.iloc[0]["check"] == leads  # type: ignore[union-attr]
            assert run.evidence() is not None
            assert "Nothing to do" not in said
        else:
            assert "Nothing to do" in said
        run.not_seen()
        assert "well" in run.well().text
        run.keep()
        assert "the same" in run.judge_again().text
        run.finish(run.outcome())
    figures = json.loads(capsys.readouterr().out)
    assert (figures["status"], figures["begin_with"], figures["outcome"]) == (
        status,
        leads,
        "findings" if leads else "ok",
    )
    assert (tmp_path / FACTS_FILE).stat().st_mode & 0o077 == 0


@pytest.mark.req("R3")
def test_kept_facts_are_judged_without_asking_anybody(tmp_path: Path) -> None:
    """A file that one machine kept leads to the same finding on another, whose workspace does not know the account."""
    with replayed("secret_expired") as run:
        run.folder = tmp_path
        run.look()
        run.keep()
    with closing(Workspace.create(tmp_path / "other")) as workspace:
        other = Steps(STEM, Opened(workspace))
        other.choose(facts=str(tmp_path / FACTS_FILE))
        assert "begin with *token*" in other.look().text
        assert other.figures()["sub_cause"] == "secret_expired"


def test_without_an_account_it_says_what_comes_first(tmp_path: Path) -> None:
    """An empty workspace leads on to the onboarding; a name that is nobody's is refused by that name."""
    with closing(Workspace.create(tmp_path / "empty")) as workspace:
        run = Steps(STEM, Opened(workspace))
        assert "onboard_host" in str(run.accounts())
        with pytest.raises(InputError, match="there is no account yet"):
            run.look()
        run.choose(account="nobody@example.test")
        with pytest.raises(NotThere, match=r"nobody@example\.test"):
            run.look()


@pytest.mark.parametrize(
    "step", ["findings", "next_step", "evidence", "not_seen", "well", "keep", "judge_again", "outcome"]
)
def test_a_step_before_looking_says_what_to_run_first(step: str, tmp_path: Path) -> None:
    """Cells run out of order are answered with the right order."""
    with (
        closing(Workspace.create(tmp_path / "empty")) as workspace,
        pytest.raises(InputError, match=r"run\.(look|keep)"),
    ):
        getattr(Steps(STEM, Opened(workspace)), step)()


@pytest.mark.parametrize(("limit", "facts", "said"), [(0, "", "limit"), (601, "", "limit"), (9, "gone.json", "gone")])
def test_a_parameter_that_cannot_be_is_named(limit: int, facts: str, said: str, tmp_path: Path) -> None:
    """No time, too much of it, and a file that is not there."""
    with closing(Workspace.create(tmp_path / "empty")) as workspace:
        run = Steps(STEM, Opened(workspace))
        run.choose(facts=facts)
        with pytest.raises(InputError, match=said):
            run.look(limit=limit)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b'{"format": "other"}'])
def test_a_file_that_holds_no_facts_is_refused(content: bytes, tmp_path: Path) -> None:
    """Rubbish is named as such, without a traceback."""
    with closing(Workspace.create(tmp_path / "empty")) as workspace:
        (workspace.path / "kept.json").write_bytes(content)
        run = Steps(STEM, Opened(workspace))
        run.choose(facts="kept.json")
        with pytest.raises(InputError, match=r"kept\.json"):
            run.look()


def test_a_cassette_is_a_file_or_one_of_the_runbooks_own(tmp_path: Path) -> None:
    """A path is taken as it is, a name looked up; a misspelt one is answered with the nearest."""
    own = library.cassette(STEM, "cassette:well")
    assert own.name == "well.yaml"
    assert library.cassette(STEM, f"cassette:{own}") == own
    with pytest.raises(NotThere, match="did you mean secret_expired"):
        library.cassette(STEM, "cassette:secret_expird")
    with pytest.raises(NotThere, match="no cassette"):
        library.cassette(STEM, "cassette:")
    (tmp_path / "other.yaml").write_text("version: 1\n")
    with pytest.raises(InputError, match="no cassette of syncops"):
        steps_of(STEM).open(f"cassette:{tmp_path / 'other.yaml'}")
