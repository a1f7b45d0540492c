"""Whose name stands in a cmdlet's output: addresses, display names, canonical names, ``DOMAIN\\account``. Pure.

A name that could be two people's is nobody's: what hangs on it stays unknown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from ops_lib.access.powershell_output import Output

_SAYS_WHO = ("Get-CASMailbox", "Get-Mailbox")
_ALIASES = (
    "identity",
    "name",
    "displayname",
    "alias",
    "samaccountname",
    "distinguishedname",
    "guid",
    "exchangeguid",
    "externaldirectoryobjectid",
    "legacyexchangedn",
    "userprincipalname",
    "windowsemailaddress",
)


class Names:
    """Names of mailboxes and of the service account, from what the CRM knows and from records that name an address beside other names."""

    def __init__(
        self, mailboxes: Iterable[str], service_names: Iterable[str], known: Iterable[tuple[str, str]] = ()
    ) -> None:
        """``service_names``: every way the service account may be written. ``known``: other names of mailboxes, each with the address."""
        self._addresses: dict[str, set[str]] = {}
        self._service = {_plain(each) for each in service_names if each.strip()}
        for mailbox in mailboxes:
            self._add(mailbox, mailbox)
        for name, address in known:
            self._add(name, address)

    def _add(self, name: str, address: str) -> None:
        if name.strip():
            self._addresses.setdefault(_plain(name), set()).add(address.strip().lower())

    def learn(self, outputs: Iterable[Output]) -> None:
        """Takes up the names that a mailbox's own record gives beside its primary address."""
        for output in outputs:
            if output.cmdlet not in _SAYS_WHO:
                continue
            for record in output.records:
                address = record.get("primarysmtpaddress")
                if not address:
                    continue
                names = [record.get(alias) or "" for alias in _ALIASES]
                for name in names:
                    self._add(name, address)
                    self._add(name.rsplit("/", 1)[-1], address)
                if self.is_service(address):
                    self._service |= {_plain(name) for name in names if name}

    def mailbox(self, name: str | None) -> str | None:
        """The address of the mailbox of this name; None where it is nobody's or could be several's."""
        if not name:
            return None
        for each in (name, name.rsplit("/", 1)[-1], name.rsplit("\\", 1)[-1]):
            found = self._addresses.get(_plain(each), set())
            if len(found) == 1:
                return next(iter(found))
            if found:
                return None
        return name.strip().lower() if "@" in name and "/" not in name else None

    def is_service(self, name: str | None) -> bool | None:
        """Whether this is the service account. None: it cannot be told, the name is neither an address nor known."""
        if not name:
            return None
        said = _plain(name).removeprefix("nt user:")
        if said in self._service or said.rsplit("/", 1)[-1] in self._service:
            return True
        for own in self._service:
            if _is_same_login(said, own) or _is_same_login(own, said):
                return True
        if "@" in said or self.mailbox(said) is not None:
            return False
        if said.startswith(("nt authority\\", "nt-autorität\\", "s-1-5-10", "builtin\\")) or said == "self":
            return False
        # Two logins of one domain, or a login of another domain than the service account's login.
        if "\\" in said and any("\\" in own for own in self._service):
            return False
        return None

    def begins_with_service(self, name: str) -> bool:
        """Whether a name of the service account stands at its beginning."""
        return _plain(name).startswith(tuple(self._service - {""}))


def _plain(name: str) -> str:
    """A name to compare it by: without case, with one kind of apostrophe, and accents as one sign."""
    straight = name.translate(dict.fromkeys(map(ord, "\u2018\u2019\u02bc\u00b4`"), "'"))
    return unicodedata.normalize("NFC", straight).strip().lower()


def _is_same_login(login: str, address: str) -> bool:
    """Whether ``DOMAIN\\account`` is the login of ``account@domain…``."""
    if "\\" not in login or "@" not in address:
        return False
    domain, _, account = login.partition("\\")
    local, _, full_domain = address.partition("@")
    return account == local and domain in {full_domain, full_domain.split(".")[0]}
