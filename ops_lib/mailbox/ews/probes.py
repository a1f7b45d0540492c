"""What is asked of a server only to see how things stand. Reads, each valid by Microsoft's schema."""

from __future__ import annotations

from typing import Any
from xml.sax.saxutils import escape

from lxml import etree

from ops_lib.mailbox.ews.requests import MESSAGES, TYPES, clean
from ops_lib.model import Kind

_FOLDERS = {Kind.EVENT: "calendar", Kind.TASK: "tasks"}


def any_item(kind: Kind, address: str) -> Any:
    """One item of the default folder, with the caller's rights on it."""
    return etree.fromstring(
        f'<m:FindItem xmlns:m="{MESSAGES}" xmlns:t="{TYPES}" Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>'
        '<t:AdditionalProperties><t:FieldURI FieldURI="item:EffectiveRights"/></t:AdditionalProperties></m:ItemShape>'
        '<m:IndexedPageItemView MaxEntriesReturned="1" Offset="0" BasePoint="Beginning"/><m:ParentFolderIds>'
        f'<t:DistinguishedFolderId Id="{_FOLDERS[kind]}"><t:Mailbox><t:EmailAddress>{escape(clean(address))}</t:EmailAddress>'
        "</t:Mailbox></t:DistinguishedFolderId></m:ParentFolderIds></m:FindItem>"
    )
