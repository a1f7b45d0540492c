"""Which of an organisation's servers a request reaches: subscriptions live on the one that made them.

Source: "Maintain affinity between a group of subscriptions and the Mailbox server in Exchange".
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping

COOKIE = "X-BackEndOverrideCookie"
_GIVEN = re.compile(rf"(?:^|[;\s]){COOKIE}=server(\d+)~")


class Affinity:
    """The way to ``servers`` servers: by cookie where affinity is asked for, else by the anchor mailbox, else by the one that acts."""

    def __init__(self, servers: int = 1) -> None:
        self.servers = servers

    def server_of(self, headers: Mapping[str, str], mailbox: str) -> int:
        """The number of the server that a request with these headers (names in lower case) reaches."""
        if _is_preferred(headers) and (given := _GIVEN.search(headers.get("cookie", ""))):
            return int(given[1]) % self.servers
        anchor = headers.get("x-anchormailbox", "").strip().lower() or mailbox
        return zlib.crc32(anchor.encode()) % self.servers

    def cookies(self, headers: Mapping[str, str], server: int) -> tuple[tuple[str, str], ...]:
        """The header that leads a client's next requests to the same server, where it asks for that."""
        if not _is_preferred(headers):
            return ()
        return (("Set-Cookie", f"{COOKIE}=server{server}~1941996295; path=/; secure; HttpOnly"),)


def _is_preferred(headers: Mapping[str, str]) -> bool:
    return headers.get("x-preferserveraffinity", "").strip().lower() == "true"
