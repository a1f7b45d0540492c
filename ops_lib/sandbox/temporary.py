"""A temporary folder that is removed with its owner: by the owner when it ends, by the next one when it was killed."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

_LOCK = "lock"


class TemporaryFolder:
    """A folder of this process alone. It is held by a lock, which the system takes back however the process ends.

    Making one removes those with the same prefix whose owner is gone. (Windows has no such locks; there only the owner removes it.)
    """

    def __init__(self, prefix: str) -> None:
        _sweep(Path(tempfile.gettempdir()), prefix)
        self.path = Path(tempfile.mkdtemp(prefix=prefix))
        self._lock = os.open(self.path / "unlocked", os.O_CREAT | os.O_RDWR, 0o600)
        if _hold(self._lock):
            # Under this name only once it is held: whoever sweeps never meets one that is free because it is new.
            (self.path / "unlocked").rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove the folder and what is in it; twice does nothing."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def _sweep(parent: Path, prefix: str) -> None:
    for lock in parent.glob(f"{prefix}*/{_LOCK}"):
        with contextlib.suppress(OSError):  # somebody else's, or somebody else is removing it
            held = os.open(lock, os.O_RDWR)
            try:
                if _hold(held):
                    shutil.rmtree(lock.parent, ignore_errors=True)
            finally:
                os.close(held)


def _hold(descriptor: int) -> bool:
    """Whether the lock is ours now."""
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
