"""Secrets by reference: where one lies is kept, what it is never shows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ops_lib.access.secrets import env_reference, file_reference, resolve
from ops_lib.errors import InputError

SECRET = "correct horse battery staple"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(SECRET + "\n")
    return path


@pytest.mark.req("R9")
def test_an_environment_variable_is_kept_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference holds the variable's name; the value is looked up when it is needed."""
    reference = env_reference("MAIL_PASSWORD")
    assert reference == "env:MAIL_PASSWORD"
    monkeypatch.setenv("MAIL_PASSWORD", SECRET)
    assert resolve(reference) == SECRET


@pytest.mark.req("R9")
def test_a_file_is_kept_by_its_path(secret_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference holds the full path, so that it holds from any folder; the line's end is not part of the secret."""
    monkeypatch.chdir(secret_file.parent)
    reference = file_reference(Path("password"))
    assert reference == f"file:{secret_file}"
    monkeypatch.chdir("/")
    assert resolve(reference) == SECRET


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o666])
@pytest.mark.req("R9")
def test_a_file_that_others_may_read_is_refused(secret_file: Path, mode: int) -> None:
    """A file with any right for the group or others is refused, when it is named and when it is read, with the mend."""
    secret_file.chmod(mode)
    for use in (lambda: file_reference(secret_file), lambda: resolve(f"file:{secret_file}")):
        with pytest.raises(InputError, match="others may read") as caught:
            use()
        assert f"chmod 600 {secret_file}" in str(caught.value)
        assert SECRET not in str(caught.value)


@pytest.mark.req("R9")
def test_a_secret_pasted_for_a_variable_s_name_is_not_repeated() -> None:
    """A password given where a name belongs is refused without being shown."""
    with pytest.raises(InputError) as caught:
        env_reference(SECRET)
    assert SECRET not in str(caught.value) + repr(caught.value)


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """An unset variable, a missing file, an empty one, a folder, two lines, no reference: each says what and how to mend it."""
    (tmp_path / "empty").touch(mode=0o600)
    for name, content in (("two", b"one\ntwo\n"), ("binary", b"\xff\xfe")):
        (tmp_path / name).touch(mode=0o600)
        (tmp_path / name).write_bytes(content)
    for reference, words in (
        ("env:SYNCOPS_TEST_UNSET", "SYNCOPS_TEST_UNSET is not set"),
        (f"file:{tmp_path / 'missing'}", "missing: .*cannot be read"),
        (f"file:{tmp_path / 'empty'}", "empty: the file is empty"),
        (f"file:{tmp_path / 'two'}", "more than one line"),
        (f"file:{tmp_path / 'binary'}", "holds no text"),
        (f"file:{tmp_path}", "cannot be read"),
        ("", "no secret is set"),
        ("hunter2", "no secret is set"),
    ):
        with pytest.raises(InputError, match=words) as caught:
            resolve(reference)
        assert caught.value.fix
        assert "hunter2" not in str(caught.value)
