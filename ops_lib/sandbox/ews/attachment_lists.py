"""What an item's answer says of its attachments: the list without their contents."""

from __future__ import annotations

import mimetypes

from .. import ids
from ..items import Attachment
from .views import View
from .xml import boolean, escape, instant

_ITEM_SIZE = 1024


def attachment_id(view: View, one: Attachment) -> str:
    """The id by which a client gets the attachment."""
    return ids.encode_id(view.item.mailbox.guid, ids.ATTACHMENT, view.item.number, one.number)


def plain(view: View, one: Attachment) -> str:
    """What both kinds of attachment begin with: id, name, types."""
    kind = one.content_type or (mimetypes.guess_type(one.name)[0] or "" if one.item is None else "")
    parts = (
        ("Name", one.name),
        ("ContentType", kind),
        ("ContentId", one.content_id),
        ("ContentLocation", one.content_location),
    )
    inner = "".join(f"<t:{name}>{escape(text)}</t:{name}>" for name, text in parts if text)
    return f'<t:AttachmentId Id="{attachment_id(view, one)}"/>{inner}'


def listing(view: View) -> str:
    """The element ``Attachments``, "" for an item without any."""
    if view.hidden or not view.attachments:
        return ""
    return f"<t:Attachments>{''.join(_listed(view, one) for one in view.attachments)}</t:Attachments>"


def _listed(view: View, one: Attachment) -> str:
    when = f"<t:LastModifiedTime>{instant(one.modified)}</t:LastModifiedTime>" if one.modified else ""
    size = len(one.content) if one.item is None else _ITEM_SIZE
    common = f"{plain(view, one)}<t:Size>{size}</t:Size>{when}<t:IsInline>{boolean(one.is_inline)}</t:IsInline>"
    if one.item is not None:
        return f"<t:ItemAttachment>{common}</t:ItemAttachment>"
    photo = f"<t:IsContactPhoto>{boolean(one.is_contact_photo)}</t:IsContactPhoto>"
    return f"<t:FileAttachment>{common}{photo}</t:FileAttachment>"


def has_any(view: View) -> bool:
    """``HasAttachments``: pictures within the body do not count."""
    return not view.hidden and any(not one.is_inline for one in view.attachments)
