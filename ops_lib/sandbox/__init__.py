"""An Exchange organisation on loopback, for any EWS client: real HTTP, real SOAP, in memory.

``serve`` runs it in the foreground (``syncops sandbox serve``); :class:`ops_lib.sandbox.server.Sandbox` runs it in a thread.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path


def serve(
    port: int = 0,
    people: Path | None = None,
    empty: bool = False,
    *,
    now: Callable[[], datetime] | None = None,
    end_with_parent: bool = False,
    like: str = "exchange",
) -> None:
    """Serves until SIGTERM or SIGINT; the first line on stdout is one JSON document with addresses and accounts.

    Events of the population that Exchange cannot hold are named on stderr, with the reason.

    ``port``: of HTTP, 0 for any free one. ``people``: a population to load instead of the built-in customer; ``empty``: nobody but
    alice, bob, carol and svc. ``now``: the organisation's clock, real time unless given. ``end_with_parent``: ends by itself when the
    process that started it is gone. ``like``: which server it behaves like, "exchange" or "grommunio".

    Raises SandboxError for a port that is taken or for ``people`` together with ``empty``, and InputError for a file that cannot be.
    """
    # The server's imports take half a second; who only asks the command line for help does not wait for them.
    from ops_lib.errors import SandboxError
    from ops_lib.sandbox.residents import inhabitants, nobody_else
    from ops_lib.sandbox.server import Sandbox

    if people is not None and empty:
        raise SandboxError(
            "cannot be empty and hold a population", subject="sandbox serve", fix="Give --people or --empty, not both."
        )
    residents = nobody_else() if empty else inhabitants(people)
    for reason in residents.skipped:
        sys.stderr.write(f"skipped: {reason}\n")
    Sandbox(residents, port=port, now=now, like=like).serve(end_with_parent=end_with_parent)
