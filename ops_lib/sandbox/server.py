"""The sandbox as a running server: in a background thread for tests, notebooks and the demo, or in the foreground.

    with Sandbox() as sandbox:
        sandbox.ews_url, sandbox.passwords, sandbox.organisation …

One process, one event loop, one organisation; HTTP and HTTPS on loopback lead to the same things.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from ops_lib.errors import SandboxError
from ops_lib.sandbox import control
from ops_lib.sandbox.affinity import Affinity
from ops_lib.sandbox.attempts import Attempts
from ops_lib.sandbox.autodiscover import POX_PATH, Autodiscover, Whereabouts
from ops_lib.sandbox.autodiscover_web import AutodiscoverEndpoint
from ops_lib.sandbox.clock import Clock
from ops_lib.sandbox.endpoint import LARGEST_REQUEST_BYTES, Behind, EwsEndpoint
from ops_lib.sandbox.entra import Directory
from ops_lib.sandbox.entra.signin import SignIn
from ops_lib.sandbox.entra.web import EntraEndpoint
from ops_lib.sandbox.ews import EwsFace
from ops_lib.sandbox.ews.manners import manners_of
from ops_lib.sandbox.faults import Faults
from ops_lib.sandbox.gate import Gate
from ops_lib.sandbox.listeners import HOST, Listeners, bind, certificates, new_loop
from ops_lib.sandbox.requests_log import RequestsLog
from ops_lib.sandbox.residents import Residents, nobody_else
from ops_lib.sandbox.store import Organisation
from ops_lib.sandbox.streaming import MOST_CONNECTIONS, Streams
from ops_lib.sandbox.temporary import TemporaryFolder
from ops_lib.sandbox.web import GRAPH_PATH, Web

_START_SECONDS = 15.0
_STOP_SECONDS = 10.0


class Sandbox:
    """An Exchange organisation on loopback.

    ``residents``: who is in it and what they have; alice, bob, carol and svc with empty mailboxes unless given. ``port``: of HTTP (0: any free one); HTTPS always takes a
    free one. ``now``: the organisation's clock, real time unless given. ``largest_request_bytes``: what is over is refused with
    ErrorRequestStreamTooBig. ``like``: which server it behaves like, "exchange" or "grommunio" (a calendar view without occurrences,
    change keys and sync states unchecked, an hour too late after a change of time: see `ews.manners`). ``servers``: how many it is made of:
    a subscription lives on one of them. ``most_streams``: open GetStreamingEvents of one caller; ``minute_seconds``: how long their minutes last.
    """

    def __init__(
        self,
        residents: Residents | None = None,
        *,
        port: int = 0,
        now: Callable[[], datetime] | None = None,
        largest_request_bytes: int = LARGEST_REQUEST_BYTES,
        like: str = "exchange",
        servers: int = 1,
        most_streams: int = MOST_CONNECTIONS,
        minute_seconds: float = 60.0,
    ) -> None:
        self._manners = manners_of(like)
        self.residents = residents or nobody_else()
        self.clock = Clock(now)
        self.faults = Faults()
        self.requests = RequestsLog()
        self.sign_ins = RequestsLog()
        accounts = (*self.residents.users, self.residents.service)
        self.attempts = Attempts(self.clock)
        domains = {account.address.rpartition("@")[2] for account in accounts}
        self.directory = Directory(self.clock, domains, lambda: self.organisation, self.attempts)
        self._sign_in = SignIn(self.directory)
        self.app, self.public_app = self.directory.furnish()
        self._first_secrets = tuple(self.app.secrets)
        self._behind = Behind(self._fresh())
        self.streams = Streams(self._behind, most_connections=most_streams, minute_seconds=minute_seconds)
        domain = self.residents.service.address.rpartition("@")[2]
        self.gate = Gate(self._behind, self.directory, self.attempts, domain, self.residents.sign_in)
        self.whereabouts = Whereabouts()
        autodiscover = Autodiscover(
            lambda address: self.organisation.find_mailbox(address),
            self.whereabouts,
            self.clock,
            lambda: self.ews_url_https,
        )
        self._web = Web(
            EwsEndpoint(
                self._behind,
                self.gate,
                self.faults,
                self.requests,
                affinity=Affinity(servers),
                streams=self.streams,
                largest_request_bytes=largest_request_bytes,
            ),
            EntraEndpoint(self.directory, self._sign_in, self.faults, self.sign_ins),
            AutodiscoverEndpoint(autodiscover, self.gate, self.sign_ins),
            self,
        )
        self.directory.members.member(self.residents.service.address).is_admin = True
        self._wanted_port = port
        self._folder: TemporaryFolder | None = None
        self.ca_file = Path()
        self._http = self._https = ""
        self._listeners: Listeners | None = None
        self._thread: threading.Thread | None = None

    # -- what a client needs -------------------------------------------------------------------------------------------

    @property
    def organisation(self) -> Organisation:
        """The organisation as it is now; a reset puts another one in its place."""
        return self._behind.organisation

    @property
    def ews_url(self) -> str:
        """The address of EWS over HTTP."""
        return f"{self._http}/EWS/Exchange.asmx"

    @property
    def ews_url_https(self) -> str:
        """The address of EWS over HTTPS; the certificate is signed by ``ca_file``."""
        return f"{self._https}/EWS/Exchange.asmx"

    @property
    def entra_url(self) -> str:
        """The address that stands for login.microsoftonline.com: an authority is this, a slash and the tenant."""
        return self._https

    @property
    def control_url(self) -> str:
        """The address below which the control endpoints answer."""
        return f"{self._http}{control.PREFIX}"

    @property
    def passwords(self) -> dict[str, str]:
        """The password of every account, by address."""
        return {account.address: account.password for account in (*self.residents.users, self.residents.service)}

    def document(self) -> dict[str, Any]:
        """Draws everything a client needs as JSON: the first line of ``syncops sandbox serve``."""
        service = self.residents.service
        return {
            "ews_url": self.ews_url,
            "ews_url_https": self.ews_url_https,
            "autodiscover_url": f"{self._https}{POX_PATH}",
            "entra_url": self.entra_url,
            "graph_url": f"{self._https}{GRAPH_PATH}",
            "ca_file": str(self.ca_file),
            "users": [{"email": user.address, "password": user.password} for user in self.residents.users],
            "service": {"email": service.address, "password": service.password},
            "app": {
                "client_id": self.app.client_id,
                "tenant_id": self.directory.tenant_id,
                "client_secret": self.app.secret,
                "redirect_uris": list(self.app.redirect_uris),
            },
            "public_app": {
                "client_id": self.public_app.client_id,
                "tenant_id": self.directory.tenant_id,
                "redirect_uris": list(self.public_app.public_redirect_uris),
            },
            "control_url": self.control_url,
        }

    # -- running -------------------------------------------------------------------------------------------------------

    def _fresh(self) -> EwsFace:
        organisation = Organisation(self.clock)
        self.residents.fill(organisation)
        organisation.grant_impersonation(self.app.client_id, None)
        return EwsFace(organisation, self._manners)

    def reset(self) -> None:
        """Starts afresh: the same people and passwords with their first content, no rules, nothing counted, the clock's own time."""
        self.faults.clear()
        self.clock.restart()
        self._sign_in.clear()
        self.directory.clear()
        self.app, self.public_app = self.directory.furnish(self._first_secrets)
        self._behind.face = self._fresh()
        self.directory.members.member(self.residents.service.address).is_admin = True
        self.attempts.restart()
        self.gate.offers = self.residents.sign_in
        self.whereabouts.change({})
        self.requests.clear()
        self.sign_ins.clear()

    def _open(self) -> Listeners:
        http = bind(self._wanted_port)
        try:
            https = bind(0)
        except SandboxError:
            http.close()
            raise
        self._folder = TemporaryFolder("syncops-sandbox-")
        self.ca_file, tls = certificates(self._folder.path)
        self._http = f"http://{HOST}:{http.getsockname()[1]}"
        self._https = f"https://{HOST}:{https.getsockname()[1]}"
        self._listeners = Listeners(self._web, http, https, tls)
        return self._listeners

    def _close(self) -> None:
        self._listeners = None
        if self._folder is not None:
            self._folder.remove()

    def start(self) -> Sandbox:
        """Starts in a background thread; returns when it accepts connections. Raises SandboxError when it cannot."""
        if self._thread is not None:
            raise SandboxError("runs already", subject="sandbox", fix="Stop it first, or make another one.")
        listeners = self._open()
        ready = threading.Event()
        failed: list[BaseException] = []

        def run() -> None:
            try:
                with asyncio.Runner(loop_factory=new_loop) as runner:
                    runner.run(listeners.run(ready.set))
            except BaseException as problem:  # noqa: BLE001  the thread that waits is told
                failed.append(problem)
                ready.set()

        self._thread = threading.Thread(target=run, name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(_START_SECONDS) or failed:
            self.stop()
            raise SandboxError("did not start", subject="sandbox", fix="See the error before this one.") from (
                failed[0] if failed else None
            )
        return self

    def stop(self) -> None:
        """Ends the background thread and removes its files; stopping twice does nothing."""
        if self._thread is None:
            return
        if self._listeners is not None:
            self._listeners.stop()
        self._thread.join(_STOP_SECONDS)
        self._thread = None
        self._close()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def serve(self, *, stdout: IO[str] | None = None, end_with_parent: bool = False) -> None:
        """Serves in the foreground until SIGTERM or SIGINT, or (``end_with_parent``) until the parent process is gone.

        The first line on ``stdout`` is :meth:`document`, written when every listener accepts connections.
        Raises SandboxError when it cannot start.
        """
        out = stdout or sys.stdout
        listeners = self._open()
        try:
            with asyncio.Runner(loop_factory=new_loop) as runner:
                runner.run(self._serve(listeners, out, end_with_parent))
        finally:
            self._close()

    async def _serve(self, listeners: Listeners, out: IO[str], end_with_parent: bool) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            try:
                loop.add_signal_handler(number, listeners.stop)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda *_: listeners.stop())

        def ready() -> None:
            out.write(json.dumps(self.document()) + "\n")
            out.flush()

        watcher = asyncio.create_task(_until_parent_is_gone(listeners.stop)) if end_with_parent else None
        await listeners.run(ready)
        if watcher is not None:
            watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watcher


async def _until_parent_is_gone(stop: Callable[[], None]) -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    stop()
