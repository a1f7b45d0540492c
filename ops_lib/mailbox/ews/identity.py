"""Whose token is it? Asked of the mail server, where the directory's name for a person is not their address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lxml import etree

from ops_lib.errors import AccessRefused, ItemGone, MailboxError, MailboxMissing
from ops_lib.mailbox import SignIns
from ops_lib.mailbox.ews import answers
from ops_lib.mailbox.ews.answers import child, children
from ops_lib.mailbox.ews.oauth import fingerprint
from ops_lib.mailbox.ews.requests import MESSAGES, TYPES, get_folder
from ops_lib.mailbox.ews.transport import Transport, forget_sign_in
from ops_lib.model import Account, Host, Kind


class _Given:
    """One token, for as long as it lasts."""

    def __init__(self, token: dict[str, Any], mailbox: str) -> None:
        self._token = token
        self.signed_in_as = mailbox
        self.key = ("given", fingerprint(token["access_token"]))

    def token(self, subject: str) -> dict[str, Any]:
        return self._token

    def new_token(self, subject: str, refused: str) -> dict[str, Any]:
        return self._token

    def tokens(self, host: Host, account: Account) -> _Given:
        return self

    def gate(self, host: Host, user: str, password: str) -> Any:
        raise NotImplementedError("a token needs no password")


def owns_mailbox(host: Host, account: Account, token: dict[str, Any], timeout_seconds: float) -> bool:
    """Whether the account's mailbox is the own one of whom the token speaks for: then a folder named with and without the address is one.

    Somebody who may open the folder without being the owner gets another id for their own. **Raises** `MailboxError` where the server
    does not say.
    """
    given = _Given(token, account.mailbox)
    transport = Transport(replace(host, access="direct"), account, lambda reference: "", timeout_seconds, given)
    try:
        answer = transport.post(_own_and_named(account.mailbox))
        messages = answers.messages(answer, transport.address)
    finally:
        forget_sign_in(given.key)
    ids = []
    for message in messages:
        if not message.is_success:
            error: MailboxError = message.error(account.mailbox)
            if isinstance(error, AccessRefused | ItemGone | MailboxMissing):
                return False
            raise error
        for folder in children(message.element, "Folders"):
            element = child(folder, "FolderId")
            ids.append(element.get("Id") if element is not None else None)
    return len(ids) == 2 and ids[0] is not None and ids[0] == ids[1]


def can_be_opened(
    host: Host, account: Account, secret: Callable[[str], str], timeout_seconds: float, sign_ins: SignIns
) -> None:
    """Ask for the mailbox' calendar folder, as a cycle would. **Raises** `MailboxError` as it would."""
    transport = Transport(host, account, secret, timeout_seconds, sign_ins)
    for message in answers.messages(transport.post(get_folder(Kind.EVENT, account.mailbox)), account.mailbox):
        if not message.is_success:
            raise message.error(account.mailbox)


def _own_and_named(address: str) -> Any:
    request = etree.Element(f"{{{MESSAGES}}}GetFolder", nsmap={"m": MESSAGES, "t": TYPES})
    shape = etree.SubElement(request, f"{{{MESSAGES}}}FolderShape")
    etree.SubElement(shape, f"{{{TYPES}}}BaseShape").text = "IdOnly"
    folders = etree.SubElement(request, f"{{{MESSAGES}}}FolderIds")
    etree.SubElement(folders, f"{{{TYPES}}}DistinguishedFolderId", Id="calendar")
    named = etree.SubElement(folders, f"{{{TYPES}}}DistinguishedFolderId", Id="calendar")
    mailbox = etree.SubElement(named, f"{{{TYPES}}}Mailbox")
    etree.SubElement(mailbox, f"{{{TYPES}}}EmailAddress").text = address
    return request
