"""Temporary folders end with their process."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ops_lib.sandbox.server import Sandbox
from ops_lib.sandbox.temporary import TemporaryFolder

SERVE = "from ops_lib.sandbox.server import Sandbox; Sandbox().serve(end_with_parent=True)"


@pytest.fixture(autouse=True)
def _own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


def test_a_folder_goes_with_its_owner(tmp_path: Path) -> None:
    """It is there, it can be removed twice, and nothing is left."""
    folder = TemporaryFolder("some-")
    (folder.path / "file").write_text("text")
    folder.remove()
    folder.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_uses_stays() -> None:
    """Neither another folder's beginning nor its end touches one that is held, or one of another kind."""
    first, other = TemporaryFolder("some-"), TemporaryFolder("other-")
    second = TemporaryFolder("some-")
    assert first.path.is_dir()
    second.remove()
    assert first.path.is_dir()
    assert other.path.is_dir()
    first.remove()
    other.remove()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no locks that end with their process")
def test_a_killed_sandbox_leaves_nothing_for_long(tmp_path: Path) -> None:
    """What a killed sandbox left is removed when the next one starts; that one's own stays until it ends."""
    with subprocess.Popen([sys.executable, "-c", SERVE], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(json.loads(process.stdout.readline())["ca_file"]).parent
        assert left.parent == tmp_path
        process.kill()
    assert left.is_dir()
    with Sandbox() as sandbox:
        assert not left.exists()
        assert sandbox.ca_file.is_file()
    assert list(tmp_path.iterdir()) == []
