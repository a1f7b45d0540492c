"""The vault: what is in it is read by who has the key, and by nobody else."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend

from ops_lib.access import vault_keys
from ops_lib.access.secrets import Secrets, file_reference, resolve
from ops_lib.access.vault import Vault
from ops_lib.access.vault_keys import Key
from ops_lib.errors import InputError, WorkspaceError

SECRET = "correct horse battery staple"
NAME = "alice@example.test"

posix = pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Nothing is set; keys go into a folder of the test's own."""
    return {"XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def vault(tmp_path: Path, environment: dict[str, str]) -> Vault:
    (tmp_path / "w").mkdir()
    return Vault(tmp_path / "w", environment)


@pytest.fixture(autouse=True)
def ring() -> Iterator[_Ring]:
    """The keyring of the test: it keeps nothing until a test says so."""
    before, ring = keyring.get_keyring(), _Ring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


class _Ring(KeyringBackend):
    priority = 0  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


def key_file(tmp_path: Path) -> Path:
    (found,) = (tmp_path / "config" / "syncops").iterdir()
    return found


def again(vault: Vault, environment: dict[str, str]) -> Vault:
    """The same file, opened by another process as it were."""
    return Vault(vault.path.parent, environment)


@pytest.mark.req("R9")
def test_what_was_put_comes_back_and_is_not_in_the_file(vault: Vault, environment: dict[str, str]) -> None:
    """An entry comes back word for word, for another process too; neither it nor its name is in any file of the vault."""
    vault.put(NAME, SECRET)
    assert again(vault, environment).get(NAME) == SECRET
    assert again(vault, environment).names() == [NAME]
    assert vault.get("nobody") is None
    for file in vault.path.parent.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert SECRET.encode() not in content
        assert NAME.encode() not in content
    assert SECRET not in repr(vault) + repr(vault._key)


def test_reading_makes_no_vault(vault: Vault) -> None:
    """Whoever asks a vault that is not there gets nothing, and nothing is made."""
    assert vault.get(NAME) is None
    assert vault.take(NAME) is None
    assert vault.names() == []
    assert not vault.exists


@posix
def test_the_files_are_their_owners_alone(vault: Vault, tmp_path: Path) -> None:
    """The vault and its key are made for the owner only; a key or vault that others may read is refused, with the mend."""
    vault.put(NAME, SECRET)
    for file in (vault.path, key_file(tmp_path)):
        assert file.stat().st_mode & 0o077 == 0
        file.chmod(0o640)
        with pytest.raises(WorkspaceError, match="others may read") as caught:
            Vault(vault.path.parent, vault._environment).get(NAME)
        assert "chmod 600" in str(caught.value)
        file.chmod(0o600)


def test_a_key_from_the_environment(vault: Vault, environment: dict[str, str], tmp_path: Path) -> None:
    """A key in the variable is used and kept nowhere; what is no key is refused without being repeated."""
    environment[vault_keys.KEY_VARIABLE] = Key.new().text()
    vault.put(NAME, SECRET)
    assert again(vault, environment).get(NAME) == SECRET
    assert not (tmp_path / "config").exists()
    environment[vault_keys.KEY_VARIABLE] = "hunter2"
    with pytest.raises(InputError, match="no key of a vault") as caught:
        again(vault, environment).get(NAME)
    assert "hunter2" not in str(caught.value)


def test_a_key_from_a_file_of_your_own(vault: Vault, environment: dict[str, str], tmp_path: Path) -> None:
    """A key file that the environment names is made if it is missing, and used."""
    environment[vault_keys.KEY_FILE_VARIABLE] = str(tmp_path / "keys" / "mine")
    vault.put(NAME, SECRET)
    assert Key.parse((tmp_path / "keys" / "mine").read_text(), "")
    assert again(vault, environment).get(NAME) == SECRET


def test_a_key_in_the_keyring(vault: Vault, environment: dict[str, str], tmp_path: Path, ring: _Ring) -> None:
    """Where the system has a keyring, the key goes there; it is changed there too."""
    ring.priority = 5  # type: ignore[assignment]
    vault.put(NAME, SECRET)
    (before,) = ring.held.values()
    assert not (tmp_path / "config").exists()
    again(vault, environment).rotate_key()
    (after,) = ring.held.values()
    assert before != after
    assert again(vault, environment).get(NAME) == SECRET


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda key, vault: key.unlink(), "key is missing"),
        (lambda key, vault: key.write_text(Key.new().text()), "is another one"),
        (lambda key, vault: key.write_text(""), "key is missing"),
        (lambda key, vault: key.write_text("x" * 44), "no key of a vault"),
        (lambda key, vault: vault.write_bytes(b"no database at all" * 300), "damaged"),
        (lambda key, vault: vault.write_bytes(vault.read_bytes()[:5000]), "damaged"),
        (lambda key, vault: vault.write_bytes(b""), "damaged|cannot be used"),
    ],
)
def test_a_wrong_key_and_a_damaged_file_are_said(vault, environment, tmp_path, damage, words) -> None:  # type: ignore[no-untyped-def]
    """A key that is missing, another one or none, and a file that was cut or overwritten: each is one sentence with its mend."""
    vault.put(NAME, SECRET)
    damage(key_file(tmp_path), vault.path)
    with pytest.raises((WorkspaceError, InputError), match=words) as caught:
        again(vault, environment).get(NAME)
    assert caught.value.fix


def test_entries_cannot_be_changed_or_exchanged(vault: Vault, environment: dict[str, str]) -> None:
    """Whoever writes into the file without the key, or puts one entry in another's place, is found out."""
    vault.put("a", "secret of a")
    vault.put("b", "secret of b")
    with sqlite3.connect(vault.path) as connection:
        (first, _), (second, sealed_second) = connection.execute("SELECT id, sealed FROM entries").fetchall()
        connection.execute("UPDATE entries SET sealed = ? WHERE id = ?", (sealed_second, first))
        connection.execute(
            "UPDATE entries SET sealed = ? WHERE id = ?", (sealed_second[:-1] + bytes([sealed_second[-1] ^ 1]), second)
        )
    for name in ("a", "b"):
        with pytest.raises(WorkspaceError, match="damaged"):
            again(vault, environment).get(name)


def test_a_new_key_opens_and_the_old_one_does_not(vault: Vault, environment: dict[str, str], tmp_path: Path) -> None:
    """After a change of keys everything is there under the new key, for a process that was open too; the old one opens nothing."""
    other = again(vault, environment)
    other.put(NAME, SECRET)
    old_key, old_file = key_file(tmp_path).read_text(), vault.path.read_bytes()
    assert "the file" in vault.rotate_key()
    assert other.get(NAME) == SECRET
    assert again(vault, environment).get(NAME) == SECRET
    (sealed,) = sqlite3.connect(vault.path).execute("SELECT sealed FROM entries").fetchone()
    assert sealed not in old_file
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.deserialize(old_file)
        (old_sealed,) = connection.execute("SELECT sealed FROM entries").fetchone()
    assert old_sealed not in vault.path.read_bytes()  # wiped, not only unlinked
    key_file(tmp_path).write_text(old_key)
    with pytest.raises(WorkspaceError, match="another one"):
        again(vault, environment).get(NAME)


def test_a_new_key_from_the_environment(vault: Vault, environment: dict[str, str]) -> None:
    """A key in the environment is changed by giving the new one; without it nothing happens."""
    environment[vault_keys.KEY_VARIABLE] = Key.new().text()
    vault.put(NAME, SECRET)
    with pytest.raises(InputError, match="the new one is not given"):
        vault.rotate_key()
    assert vault.get(NAME) == SECRET
    environment[vault_keys.NEW_KEY_VARIABLE] = Key.new().text()
    vault.rotate_key()
    with pytest.raises(WorkspaceError, match="another one"):
        again(vault, environment).get(NAME)
    environment[vault_keys.KEY_VARIABLE] = environment.pop(vault_keys.NEW_KEY_VARIABLE)
    assert again(vault, environment).get(NAME) == SECRET


@pytest.mark.parametrize("step", ["the file was not sealed", "the file was sealed"])
def test_a_change_of_keys_that_is_broken_off(vault, environment, tmp_path, monkeypatch, step) -> None:  # type: ignore[no-untyped-def]
    """Killed before or after the file is sealed anew, the vault opens with the key it has, and the next change works."""
    vault.put(NAME, SECRET)
    with monkeypatch.context() as patch:
        if step == "the file was sealed":
            patch.setattr(vault_keys.KeyPlace, "settle", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        else:
            patch.setattr("ops_lib.access.vault._sealed", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            vault.rotate_key()
    assert again(vault, environment).get(NAME) == SECRET
    again(vault, environment).rotate_key()
    assert again(vault, environment).get(NAME) == SECRET
    assert [file.suffix for file in (tmp_path / "config" / "syncops").iterdir()] == [".key"]


def _put_many(folder: Path, environment: dict[str, str], number: int) -> None:
    vault = Vault(folder, environment)
    for each in range(10):
        vault.put(f"{number}/{each}", f"{number} {each}")


def test_processes_that_write_at_once_lose_nothing(vault: Vault, environment: dict[str, str]) -> None:
    """Four processes that make and fill the same vault at once leave every entry in it, under one key."""
    environment[vault_keys.KEY_VARIABLE] = Key.new().text()
    context = multiprocessing.get_context("fork" if os.name == "posix" else "spawn")
    workers = [context.Process(target=_put_many, args=(vault.path.parent, environment, number)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    assert len(vault.names()) == 40
    assert vault.get("3/9") == "3 9"


def test_of_two_that_take_an_entry_one_gets_it(vault: Vault) -> None:
    """An entry that is taken is gone: it is given once, whoever asks."""
    vault.put("flow", SECRET)
    found: list[str | None] = []
    threads = [threading.Thread(target=lambda: found.append(vault.take("flow"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [None, None, None, SECRET]


def test_who_holds_an_entry_is_alone_with_it(vault: Vault) -> None:
    """Threads that hold the same entry come one after the other; the holder of another one waits for nobody."""
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        with vault.held("a"):
            inside += 1
            most = max(most, inside)
            with vault.held("b" + str(threading.get_ident())):
                pass
            inside -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert most == 1


# ── secrets in it ────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_secret_is_kept_by_a_reference_that_says_nothing(vault: Vault) -> None:
    """A secret of the vault has a reference as those elsewhere have; what was forgotten is asked for again."""
    secrets = Secrets(vault)
    reference = secrets.keep(SECRET)
    assert reference.startswith("vault:")
    assert secrets(reference) == SECRET
    assert SECRET not in reference
    secrets.forget(reference)
    with pytest.raises(InputError, match="does not hold this secret"):
        secrets(reference)
    with pytest.raises(InputError, match="workspace's vault"):
        resolve(reference)
    with pytest.raises(InputError, match="empty"):
        secrets.keep(" ")


def test_other_references_work_as_ever(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable's or file's secret is looked up where it lies, and forgetting its reference removes nothing there."""
    monkeypatch.setenv("MAIL_PASSWORD", SECRET)
    secrets = Secrets(vault)
    assert secrets("env:MAIL_PASSWORD") == SECRET
    secrets.forget("env:MAIL_PASSWORD")
    assert secrets("env:MAIL_PASSWORD") == SECRET
    assert not vault.exists


def test_a_certificate_is_read_whole(tmp_path: Path) -> None:
    """A PEM file has many lines and is one secret; any other file of several lines is refused without showing one."""
    path = tmp_path / "app.pem"
    path.touch(mode=0o600)
    text = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----"
    path.write_text(text + "\n")
    assert resolve(file_reference(path)) == text


def test_a_vault_that_was_cut_off_to_nothing_says_so(vault: Vault) -> None:
    """An empty file is a damaged vault to whoever reads, with the mend; what is entered then is kept."""
    vault.path.touch(mode=0o600)
    with pytest.raises(WorkspaceError, match="the vault is damaged"):
        vault.get(NAME)
    vault.put(NAME, SECRET)
    assert vault.get(NAME) == SECRET
