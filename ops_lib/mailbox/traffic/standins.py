"""Stand-ins: what stands in a capture where a person, a secret, a server or an id stood.

The same original has the same stand-in, whatever its case, in every capture that is made with the same key. The key is a secret of the
workspace: without it nobody can try names out. A stand-in keeps its original's shape: an address stays an address in a domain of its
own, a host keeps its place below its domain, ids stay base64 and distinct.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from collections import Counter
from urllib.parse import urlsplit

KEPT_SUFFIXES = (
    "mail.onmicrosoft.com", "onmicrosoft.com", "prod.outlook.com", "mail.protection.outlook.com", "outlook.com", "outlook.office365.com",
    "office365.com", "office365.us", "microsoftonline.com", "microsoftonline.us", "office.com", "windows.net", "microsoft.com", "outlook.cn", "cloud.microsoft",
)  # fmt: skip
"""Domains of Microsoft's, which say where a mailbox lives and nothing about whose it is."""


def listed(words: str) -> frozenset[str]:
    """The words of a text, as a set: how the allow-lists of this package are written."""
    return frozenset(words.split())


KEPT_LABELS = listed(
    "autodiscover autodiscover-s mail owa ews outlook www smtp exchange webmail legacy hybrid mx login sts adfs accounts graph "
    "_autodiscover _tcp outlook-dod partner device enterpriseregistration localhost"
)
"""What hosts are called everywhere."""

_SECOND_LEVEL = listed("ac co com edu gov gob net or org ne nhs")
_UNKNOWN_IP_4 = ipaddress.ip_network("198.18.0.0/15")

ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"'/\\]+@[^\s@<>()\[\],;:\"'/\\]+")
GUID = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
HOST = re.compile(r"\b(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?\.)+[A-Za-z]{2,}\b")
IP = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4})(?![\w.:])")

KEPT_ADDRESSES = frozenset({"nobody@example.test"})  # what `probes.greeted` asks for
KEPT_GUIDS = frozenset(
    {
        "00000002-0000-0ff1-ce00-000000000000",  # Exchange Online's own application
        "00000003-0000-0000-c000-000000000000",  # Graph's
        "00000000-0000-0000-0000-000000000000",
        "9188040d-6c67-4c5b-b112-36a304b66dad",  # the tenant of personal accounts
    }
)


class StandIns:
    """The stand-ins of one capture: ``counts`` by kind, and the originals, for a last look for them."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.counts: Counter[str] = Counter()
        self.originals: set[str] = set()

    def address(self, value: str) -> str:
        """For ``anna@contoso.com`` an address in the stand-in of contoso.com."""
        local, at, domain = value.strip().rpartition("@")
        if not at or not local:
            return self.text(value)
        if value.strip().lower() in KEPT_ADDRESSES:
            return value.strip().lower()
        self._note("address", value)
        self._remember(local)
        return f"u{self._digest('address', value.strip().lower())[:10]}@{self._host(domain)}"

    def host(self, value: str) -> str:
        """For a server's name or IP address, with or without a port. Microsoft's own names and this machine's stay."""
        name, colon, port = value.strip().rpartition(":")
        if not colon or not port.isdigit() or name.count(":") > 0:
            name, port = value.strip(), ""
        shown = self._host(name)
        if shown.lower() != name.lower():
            self._note("host", name)
        return f"{shown}:{port}" if port else shown

    def guid(self, value: str) -> str:
        lowered = value.strip().lower()
        if lowered in KEPT_GUIDS:
            return lowered
        self._note("id", value)
        d = self._digest("guid", lowered)
        return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-8{d[17:20]}-{d[20:32]}"

    def opaque(self, value: str, kind: str = "id") -> str:
        """For an item id, a change key or a sync state: base64, its length told apart in four sizes only."""
        if not value.strip():
            return value
        self._note(kind, value)
        size = next((each for each in (24, 48, 96) if len(value) <= each * 4 // 3), 180)
        raw = b"".join(
            hmac.new(self._key, f"{kind}/{part}/{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
            for part in range(size // 32 + 1)
        )
        return base64.b64encode(raw[:size]).decode()

    def name(self, value: str) -> str:
        """For a person's, a folder's or a company's name; an address among names stays one."""
        if ADDRESS.fullmatch(value.strip()):
            return self.address(value)
        return self._worded("name", value)

    def text(self, value: str) -> str:
        """For anything that somebody may have written."""
        return self._worded("text", value)

    def secret(self, value: str) -> str:
        """For a password, a token or a cookie."""
        self._note("secret", value)
        return f"secret-{self._digest('secret', value)[:12]}"

    def remember(self, *values: str) -> None:
        """Whose names must not stand anywhere: looked for once more at the end, whole and by their parts."""
        for value in values:
            self._remember(value)
            for part in re.split(r"[\s@\\,;()]+", value):
                self._remember(part)

    def word(self, value: str) -> None:
        """A word of a text goes; nothing stands for it."""
        self._note("word", value)

    # ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _worded(self, kind: str, value: str) -> str:
        if not value.strip():
            return ""
        self._note(kind, value)
        return f"{kind}-{self._digest(kind, ' '.join(value.split()).casefold())[:10]}"

    def _host(self, name: str) -> str:
        lowered = name.strip().strip(".").lower()
        if not lowered or lowered in ("localhost", *KEPT_SUFFIXES):
            return lowered
        bare = lowered.strip("[]")
        try:
            return self._ip(ipaddress.ip_address(bare))
        except ValueError:
            pass
        suffix = next((each for each in KEPT_SUFFIXES if lowered.endswith("." + each)), "")
        labels = lowered.removesuffix("." + suffix).split(".") if suffix else lowered.split(".")
        if suffix:
            return ".".join([*(self._label(each) for each in labels), suffix])
        if len(labels) == 1:
            return self._label(lowered)
        own = 3 if len(labels) > 2 and labels[-2] in _SECOND_LEVEL and len(labels[-1]) == 2 else 2
        domain = ".".join(labels[-own:])
        self._remember(domain)
        self._remember(labels[-own])
        return ".".join(
            [*(self._label(each) for each in labels[:-own]), f"d{self._digest('domain', domain)[:8]}.example"]
        )

    def _label(self, label: str) -> str:
        if label in KEPT_LABELS:
            return label
        self._remember(label)
        return f"h{self._digest('label', label)[:8]}"

    def _ip(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
        if address.is_loopback or address.is_unspecified:
            return str(address)
        number = int(self._digest("ip", str(address))[:8], 16)
        if address.version == 4:
            return str(_UNKNOWN_IP_4[number % _UNKNOWN_IP_4.num_addresses])
        return f"2001:db8::{number >> 16:x}:{number & 0xFFFF:x}"

    def _note(self, kind: str, value: str) -> None:
        self.counts[kind] += 1
        self._remember(value)

    def _remember(self, value: str) -> None:
        self.originals.add(value.strip())

    def _digest(self, kind: str, value: str) -> str:
        return hmac.new(self._key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def is_address_of_web(value: str) -> bool:
    """Whether it is a URL, as far as this module wants to know."""
    parts = value.strip().partition("://")
    if parts[0].lower() not in ("http", "https") or not parts[2]:
        return False
    try:
        return bool(urlsplit(value.strip()).hostname)
    except ValueError:
        return False
