"""SyncFolderItems."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from .. import changes, ids
from .envelope import success
from .errors import ResponseError
from .registry import operation, whole
from .session import Session
from .shapes import render, shape_of
from .views import View
from .xml import M, boolean

_ITEMS = 2
#: every answer carries these, errors too: clients read them before they look at the code
_NOTHING = "<m:SyncState/><m:IncludesLastItemInRange>true</m:IncludesLastItemInRange>"


@operation("SyncFolderItems")
def sync_folder_items(session: Session) -> str:
    """Answer SyncFolderItems: singles and masters of one folder that came, changed or went. No occurrences."""
    return whole("SyncFolderItems", lambda: _sync(session), inner=_NOTHING)


def _sync(session: Session) -> str:
    root = session.request.root
    folder = session.folder(root.find(f"{M}SyncFolderId")[0], missing="ErrorSyncFolderNotFound")
    box = folder.mailbox
    shape = shape_of(root)
    if not box.rights_of(session.user, folder).may_read:
        raise ResponseError("ErrorAccessDenied")
    text = root.findtext(f"{M}SyncState")
    try:
        state = (
            changes.decode_state(text.strip(), folder.sync_owner, _ITEMS)
            if text and text.strip()
            else changes.SyncState()
        )
    except changes.InvalidSyncState:
        if session.manners.refuses_sync_states:
            raise ResponseError("ErrorInvalidSyncStateData") from None
        state = changes.SyncState()
    if state.below == changes.NEWEST:
        state = replace(state, ceiling=folder.log.last)
    ignored = (
        {element.get("Id") for element in root.find(f"{M}Ignore") if element.get("Id")}
        if (root.find(f"{M}Ignore") is not None)
        else set()
    )
    most = int(root.findtext(f"{M}MaxChangesReturned"))
    associated = root.findtext(f"{M}SyncScope") == "NormalAndAssociatedItems"
    pending = folder.log.since(state, associated=associated)
    page = list(islice(pending, most))
    more = next(pending, None) is not None
    lines = []
    for kind, number in page:
        item = folder.items.get(number)
        if item is None:
            gone = ids.encode_id(box.guid, ids.ITEM, number)
            if gone not in ignored:
                lines.append(
                    f'<t:Delete><t:ItemId Id="{gone}" ChangeKey="{_old_key(box.guid, state.ceiling)}"/></t:Delete>'
                )
        elif item.id in ignored:
            continue
        elif kind == "ReadFlagChange":
            lines.append(
                f'<t:ReadFlagChange><t:ItemId Id="{item.id}" ChangeKey="{item.change_key}"/>'
                f"<t:IsRead>{boolean(item.values.get('message:IsRead'))}</t:IsRead></t:ReadFlagChange>"
            )
        else:
            lines.append(f"<t:{kind}>{render(View(item, session), shape)}</t:{kind}>")
    done = changes.SyncState(base=state.ceiling, ceiling=state.ceiling)
    state = replace(state, below=page[-1][1]) if more else done
    return success(
        "SyncFolderItems",
        f"<m:SyncState>{changes.encode_state(state, folder.sync_owner, _ITEMS)}</m:SyncState>"
        f"<m:IncludesLastItemInRange>{boolean(not more)}</m:IncludesLastItemInRange>"
        f"<m:Changes>{''.join(lines)}</m:Changes>",
    )


def _old_key(guid: str, change: int) -> str:
    return ids.encode_change_key("Item", guid, change)
