"""The connections that GetStreamingEvents keeps open: how many, for how long, and what goes over them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from ops_lib.sandbox.answers import Answer, Receive
from ops_lib.sandbox.ews.envelope import HEADERS

if TYPE_CHECKING:
    from ops_lib.sandbox.endpoint import Behind
    from ops_lib.sandbox.ews import Stream

MOST_CONNECTIONS = 10
"""Streaming connections of one caller, or of one caller in one user's name: HangingConnectionLimit of Exchange 2016 and later."""
SIGN_OF_LIFE_SECONDS = 45.0


class Streams:
    """All open streams. ``minute_seconds``: how long a minute of a ConnectionTimeout lasts."""

    def __init__(
        self, behind: Behind, *, most_connections: int = MOST_CONNECTIONS, minute_seconds: float = 60.0
    ) -> None:
        self._behind = behind
        self.most_connections = most_connections
        self.minute_seconds = minute_seconds
        self._open: Counter[tuple[str, str]] = Counter()
        self._answers: set[Answer] = set()

    def __len__(self) -> int:
        return sum(self._open.values())

    def is_full(self, budget: tuple[str, str]) -> bool:
        """Whether this caller, acting as this user, has as many connections as they may."""
        return self._open[budget] >= self.most_connections

    def cut(self) -> int:
        """Cut every connection, as a restart of the server does; how many there were."""
        cut = list(self._answers)
        for answer in cut:
            answer.drop()
        return len(cut)

    async def run(self, stream: Stream, budget: tuple[str, str], answer: Answer, receive: Receive) -> int:
        """Tell what happens until the time is over, the client goes or the organisation is another; the bytes sent."""
        organisation = self._behind.organisation
        loop = asyncio.get_running_loop()
        news = asyncio.Event()

        def call() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(news.set)

        self._open[budget] += 1
        self._answers.add(answer)
        leaving = asyncio.create_task(_gone(receive))
        with organisation.lock:
            stream.watch(call)
        sent = 0
        try:
            await answer.begin(200, HEADERS.items())
            sent += await answer.go_on(stream.first)
            end = loop.time() + stream.minutes * self.minute_seconds
            alive = loop.time() + SIGN_OF_LIFE_SECONDS
            while not stream.is_over and self._behind.organisation is organisation:
                with organisation.lock:
                    parts = stream.news()
                for part in parts:
                    sent += await answer.go_on(part)
                now = loop.time()
                if stream.is_over or leaving.done():
                    break
                if now >= end:
                    sent += await answer.go_on(stream.farewell())
                    break
                if now >= alive:
                    sent += await answer.go_on(stream.sign_of_life())
                    alive = now + SIGN_OF_LIFE_SECONDS
                await _first_of(news, leaving, min(end, alive) - now)
            await answer.end()
        finally:
            leaving.cancel()
            self._answers.discard(answer)
            self._open[budget] -= 1
            with organisation.lock:
                stream.close(call)
        return sent


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(news: asyncio.Event, leaving: asyncio.Task[None], seconds: float) -> None:
    waiting = asyncio.create_task(news.wait())
    try:
        await asyncio.wait((waiting, leaving), timeout=max(seconds, 0.0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        news.clear()
