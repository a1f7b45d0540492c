"""Letters sent by processes of their own that may be killed: ``python -m tests.support.one_letter``.

Each line it reads is a workspace's folder, a tab, and a subject, or nothing to take up what waits. It forks a process that does that, writes its
process id and, when it has ended, how: its exit code, or minus the signal that killed it. Everything is loaded before.
"""

from __future__ import annotations

import os
import sys

from ops_lib.database import migrations
from ops_lib.mail.compose import File, Letter
from ops_lib.mail.send import Mailer
from ops_lib.mailbox.ews.sending import EwsPost
from ops_lib.workspace import Workspace
from tests.support.sandbox import ALICE

LOADED = (EwsPost, migrations)


def run(path: str, subject: str) -> bool:
    """Send one letter with an attachment, or take up what waits; whether all of it is out."""
    mailer = Mailer(Workspace.open(path))
    if not subject:
        return all(each.outcome == "accepted" for each in mailer.resume())
    file = File(name="plan.txt", content_type="text/plain", content=subject.encode() * 5_000)
    letter = Letter(user=ALICE, to=("1",), subject=subject, text=f"Dear Bo, {subject}", files=(file,))
    return mailer.send(letter).outcome == "accepted"


if __name__ == "__main__":
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                folder, _, words = line.rstrip("\n").partition("\t")
                code = 0 if run(folder, words) else 1
            finally:
                sys.stderr.flush()
                os._exit(code)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
