"""The sandbox's sockets: HTTP and HTTPS on loopback in one event loop, with a certificate authority of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import trustme
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ops_lib.errors import SandboxError

HOST = "127.0.0.1"
# IIS keeps an idle connection this long; a shorter time would make clients that pause look unlucky.
KEEP_ALIVE_SECONDS = 120
_GRACE_SECONDS = 1.0

AsgiApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]

TRANSPORT = "sandbox.transport"
CONNECTION = "sandbox.connection"


class _Protocol(HttpToolsProtocol):
    """Hands the connection to the application, so that a fault rule can cut it and NTLM can sign it in.

    ``CONNECTION`` is a dictionary that lives as long as the connection.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.kept: dict[str, Any] = {}
        super().connection_made(transport)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope[TRANSPORT] = self.transport  # type: ignore[literal-required]
        self.scope[CONNECTION] = self.kept  # type: ignore[literal-required]


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone: whoever runs the loop decides when it ends."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lets requests in hand end, then closes every connection at once: an idle TLS client would be waited for."""
        for server in self.servers:
            server.close()
        deadline = asyncio.get_running_loop().time() + _GRACE_SECONDS
        while self.server_state.tasks and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.01)
        for task in self.server_state.tasks:
            task.cancel()
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def new_loop() -> asyncio.AbstractEventLoop:
    """Makes an event loop: uvloop's where there is one."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def bind(port: int) -> socket.socket:
    """Takes a port of loopback (0: any free one). Raises SandboxError when it is taken."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HOST, port))
        sock.listen(512)
        sock.setblocking(False)
    except (OSError, OverflowError) as problem:
        sock.close()
        reason = getattr(problem, "strerror", None) or str(problem)
        raise SandboxError(
            f"cannot listen there: {reason}",
            subject=f"{HOST}:{port}",
            fix="Choose another port, or 0 for any free one.",
        ) from None
    return sock


def certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Makes a certificate authority and a certificate for loopback; gives the authority's file and the TLS settings."""
    authority = trustme.CA(organization_name="Sandbox")
    certificate = authority.issue_cert(HOST, "localhost", "::1")
    ca_file = folder / "sandbox-ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    certificate.configure_cert(context)
    return ca_file, context


def _config(app: AsgiApp, tls: ssl.SSLContext | None) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        backlog=512,
    )
    config.load()
    config.ssl = tls
    return config


class Listeners:
    """HTTP and HTTPS servers of one application. ``run`` returns when ``stop`` was called."""

    def __init__(self, app: AsgiApp, http: socket.socket, https: socket.socket, tls: ssl.SSLContext) -> None:
        self._servers = [(_Server(_config(app, None)), http), (_Server(_config(app, tls)), https)]
        self._silence()

    @staticmethod
    def _silence() -> None:
        # Cancelled and dropped requests are what a sandbox is for; uvicorn reports them as errors of its own.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)

    async def run(self, ready: Callable[[], None]) -> None:
        """Serves; calls ``ready`` once every listener accepts connections."""
        async with asyncio.TaskGroup() as group:
            for server, sock in self._servers:
                group.create_task(server.serve(sockets=[sock]))
            while not all(server.started for server, _ in self._servers):
                await asyncio.sleep(0.002)
            ready()

    def stop(self) -> None:
        """Asks the servers to end; may be called from any thread."""
        for server, _ in self._servers:
            server.should_exit = True
