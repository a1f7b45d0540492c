"""A lock between processes of one machine: a file that the system unlocks by itself when its holder dies."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ops_lib.errors import WorkspaceError

_LOOK_AGAIN_SECONDS = 0.05


@contextmanager
def file_lock(path: Path, wait_seconds: float, what: str) -> Iterator[None]:
    """Hold the lock named by a file; ``what`` says in a message what it is for. Threads exclude each other as well as processes.

    **Raises** `WorkspaceError` when somebody else has held it for so long, or the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise WorkspaceError(
            f"the lock cannot be made ({error.strerror})", subject=str(path), fix="make its folder writable."
        ) from None
    try:
        give_up = time.monotonic() + wait_seconds
        while not _taken(descriptor):
            if time.monotonic() > give_up:
                raise WorkspaceError(
                    f"another process has held {what} for {wait_seconds:.0f} seconds",
                    subject=str(path),
                    fix="wait for it to end, or end it, and try again.",
                )
            time.sleep(_LOOK_AGAIN_SECONDS)
        yield
    finally:
        os.close(descriptor)  # and with it the lock


if os.name == "posix":
    import fcntl

    def _taken(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

else:
    import msvcrt

    def _taken(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            return False
        return True
