"""Folders: GetFolder, FindFolder, CreateFolder, UpdateFolder, DeleteFolder, EmptyFolder, SyncFolderHierarchy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from lxml import etree

from .. import changes, rights
from ..items import MAIL, ExtendedName
from ..mailboxes import Folder
from . import extended, restrictions
from .computed import effective_rights
from .envelope import success
from .errors import ResponseError
from .permissions import permission_set, read_permissions
from .properties import FOLDER_CLASSES, Property, is_field_uri
from .registry import each, operation, whole
from .session import Session
from .shapes import Shape, read_path
from .xml import M, T, escape

_HIERARCHY = 1
_NO_FOLDERS = "<m:Folders/>"
_CLASS_BY_ELEMENT = {
    "CalendarFolder": "IPF.Appointment",
    "ContactsFolder": "IPF.Contact",
    "TasksFolder": "IPF.Task",
    "Folder": "IPF.Note",
}


def element_of(folder: Folder) -> str:
    """The element of a folder: by what it holds."""
    kind = folder.folder_class
    if folder.distinguished_id == "todosearch":
        return "SearchFolder"
    if kind.startswith("IPF.Appointment"):
        return "CalendarFolder"
    if kind.startswith("IPF.Contact"):
        return "ContactsFolder"
    return "TasksFolder" if kind.startswith("IPF.Task") else "Folder"


def read_folder_shape(element: Any) -> Shape:
    """The shape in a ``FolderShape``.

    Raises:
        ResponseError: it asks for what no folder can have.
    """
    if element is None:
        return Shape()
    uris = set()
    names: dict[ExtendedName, str] = {}
    for child in (
        element.find(f"{T}AdditionalProperties") if element.find(f"{T}AdditionalProperties") is not None else ()
    ):
        path = read_path(child)
        if isinstance(path, ExtendedName):
            names.setdefault(path, extended.write_name(path, child))
        elif not path.startswith("folder:") or not is_field_uri(path):
            raise ResponseError("ErrorInvalidPropertyRequest", xml=f'<t:FieldURI FieldURI="{path}"/>')
        else:
            uris.add(path)
    base = (element.findtext(f"{T}BaseShape") or "IdOnly").strip()
    return Shape(base, uris=frozenset(uris), extended=tuple(names.items()))


def _unread(folder: Folder) -> int:
    return sum(1 for item in folder.visible_items() if item.element in MAIL and not item.values.get("message:IsRead"))


def _rights(folder: Folder, session: Session) -> str:
    box = folder.mailbox
    return effective_rights(rights.on_folder(box.rights_of(session.user, folder), box.sees_private(session.user)))


def _parent(folder: Folder, _session: Session) -> str:
    above = folder.parent
    if above is None:  # the root is its own parent's child: a folder that no client can open
        return f'<t:ParentFolderId Id="{folder.id}" ChangeKey="{folder.change_key}"/>'
    return f'<t:ParentFolderId Id="{above.id}" ChangeKey="{above.change_key}"/>'


def _distinguished(folder: Folder, _session: Session) -> str:
    name = folder.distinguished_id
    return f"<t:DistinguishedFolderId>{name}</t:DistinguishedFolderId>" if name else ""


def _sharing(folder: Folder, session: Session) -> str:
    reading = folder.mailbox.rights_of(session.user, folder).read_items
    return f"<t:SharingEffectiveRights>{reading}</t:SharingEffectiveRights>"


_WRITE: dict[str, Callable[[Folder, Session], str]] = {
    "folder:FolderId": lambda folder, _: f'<t:FolderId Id="{folder.id}" ChangeKey="{folder.change_key}"/>',
    "folder:ParentFolderId": _parent,
    "folder:FolderClass": lambda folder, _: (
        f"<t:FolderClass>{escape(folder.folder_class)}</t:FolderClass>" if folder.folder_class else ""
    ),
    "folder:DisplayName": lambda folder, _: f"<t:DisplayName>{escape(folder.name)}</t:DisplayName>",
    "folder:TotalCount": lambda folder, _: f"<t:TotalCount>{sum(1 for _ in folder.visible_items())}</t:TotalCount>",
    "folder:ChildFolderCount": lambda folder, _: f"<t:ChildFolderCount>{len(folder.children)}</t:ChildFolderCount>",
    "folder:EffectiveRights": _rights,
    "folder:DistinguishedFolderId": _distinguished,
    "folder:SharingEffectiveRights": _sharing,
    "folder:PermissionSet": permission_set,
    "folder:UnreadCount": lambda folder, _: f"<t:UnreadCount>{_unread(folder)}</t:UnreadCount>",
}


#: PidTagRights: what the caller may do in the folder, as one number
_RIGHTS_TAG = ExtendedName("Integer", tag=0x6639)


def _extended(folder: Folder, shape: Shape, session: Session) -> str:
    values = folder.extended
    if any(name == _RIGHTS_TAG for name, _ in shape.extended):
        found = rights.mask_of(folder.mailbox.rights_of(session.user, folder))
        values = {**values, _RIGHTS_TAG: found}
    return "".join(extended.write_value(name_xml, values[name]) for name, name_xml in shape.extended if name in values)


def _included(row: Property, shape: Shape) -> bool:
    if row.kind == "id":
        return True
    if row.kind == "extended":
        return bool(shape.extended)
    if row.uri in shape.uris:
        return True
    return (row.shape == "D" and shape.base != "IdOnly") or (row.shape == "A" and shape.base == "AllProperties")


@lru_cache(maxsize=512)
def _plan(element: str, shape: Shape) -> tuple[Property, ...]:
    return tuple(row for row in FOLDER_CLASSES[element] if _included(row, shape))


def render_folder(folder: Folder, shape: Shape, session: Session) -> str:
    """The folder in this shape."""
    element = element_of(folder)
    inner = "".join(
        _extended(folder, shape, session) if row.kind == "extended" else _WRITE[row.uri](folder, session)
        for row in _plan(element, shape)
    )
    return f"<t:{element}>{inner}</t:{element}>"


def _shape(session: Session) -> Shape:
    return read_folder_shape(session.request.root.find(f"{M}FolderShape"))


@operation("GetFolder")
def get_folder(session: Session) -> str:
    """Answer GetFolder."""
    wanted = list(session.request.root.find(f"{M}FolderIds"))

    def one(element: Any) -> str:
        folder = session.folder(element)
        return success("GetFolder", f"<m:Folders>{render_folder(folder, _shape(session), session)}</m:Folders>")

    return each("GetFolder", wanted, one, inner=_NO_FOLDERS)


def _visible(folder: Folder, session: Session) -> bool:
    found = folder.mailbox.rights_of(session.user, folder)
    return found.folder_visible or found.may_read


@operation("FindFolder")
def find_folder(session: Session) -> str:
    """Answer FindFolder."""
    root = session.request.root

    def one(element: Any) -> str:
        parent = session.folder(element)
        shape = _shape(session)
        if root.get("Traversal") == "Deep":
            found = list(parent.below())
        else:
            found = [] if root.get("Traversal") == "SoftDeleted" else parent.children
        test = restrictions.folder_test(root.find(f"{M}Restriction"), session)
        found = [folder for folder in found if _visible(folder, session) and test(folder)]
        page, attributes = restrictions.page(root, found, "Folder")
        inner = "".join(render_folder(folder, shape, session) for folder in page)
        return success("FindFolder", f"<m:RootFolder {attributes}><t:Folders>{inner}</t:Folders></m:RootFolder>")

    return each("FindFolder", root.find(f"{M}ParentFolderIds"), one)


def _free_name(parent: Folder, name: str, but: Folder | None = None) -> None:
    if any(child.name.lower() == name.lower() and child is not but for child in parent.children):
        raise ResponseError("ErrorFolderExists")


@operation("CreateFolder")
def create_folder(session: Session) -> str:
    """Answer CreateFolder."""
    root = session.request.root

    def one(element: Any) -> str:
        if element.tag == f"{T}SearchFolder":
            raise ResponseError("ErrorInvalidOperation", "Search folders are not supported by this server.")
        parent = session.folder(root.find(f"{M}ParentFolderId")[0], missing="ErrorFolderNotFound")
        if not parent.mailbox.rights_of(session.user, parent).create_subfolders:
            raise ResponseError(
                "ErrorCreateSubfolderAccessDenied", "The user does not have permission to create a subfolder."
            )
        name = element.findtext(f"{T}DisplayName") or ""
        if not name.strip():
            raise ResponseError("ErrorFolderSave", "Folder save failed.")
        _free_name(parent, name)
        kind = element.findtext(f"{T}FolderClass") or _CLASS_BY_ELEMENT[etree.QName(element).localname]
        properties = [extended.read_value(one) for one in element.iterfind(f"{T}ExtendedProperty")]
        folder = parent.mailbox.add_folder(parent, name, kind)
        folder.extended.update(properties)
        given = element.find(f"{T}PermissionSet")
        if given is not None:
            folder.permissions = read_permissions(given, folder, session)
        return success("CreateFolder", f"<m:Folders>{render_folder(folder, Shape(), session)}</m:Folders>")

    return each("CreateFolder", root.find(f"{M}Folders"), one, inner=_NO_FOLDERS)


def _folder_change(folder: Folder, change: Any, session: Session) -> Callable[[], None]:
    """What a SetFolderField or DeleteFolderField does, once all the others have been read as well.

    Raises:
        ResponseError: the property cannot be changed so, or does not match its path.
    """
    path = read_path(change[0])
    kind = etree.QName(change).localname
    if kind == "DeleteFolderField" and isinstance(path, ExtendedName):
        return lambda: _forget(folder, path)
    if kind == "DeleteFolderField" and path == "folder:PermissionSet":
        return folder.reset_permissions
    if kind != "SetFolderField":
        code = "ErrorInvalidPropertyDelete" if kind == "DeleteFolderField" else "ErrorInvalidPropertyAppend"
        raise ResponseError(code, xml=_uri_xml(path) if isinstance(path, str) else extended.write_name(path))
    if len(change[1]) != 1:
        raise ResponseError("ErrorIncorrectUpdatePropertyCount")
    source = change[1][0]
    if isinstance(path, ExtendedName):
        if source.tag != f"{T}ExtendedProperty":
            raise ResponseError("ErrorUpdatePropertyMismatch")
        value = extended.read_value(source)
        return lambda: folder.extended.update([value])
    if source.tag != f"{T}{path.removeprefix('folder:')}":
        raise ResponseError("ErrorUpdatePropertyMismatch", xml=_uri_xml(path))
    if path == "folder:PermissionSet":
        permissions = read_permissions(source, folder, session)
        return lambda: setattr(folder, "permissions", permissions)
    text = source.text or ""
    if path == "folder:DisplayName":
        if folder.parent is not None:
            _free_name(folder.parent, text, folder)
        return lambda: setattr(folder, "name", text)
    if path == "folder:FolderClass":
        return lambda: setattr(folder, "folder_class", text)
    raise ResponseError("ErrorInvalidPropertySet", xml=_uri_xml(path))


def _forget(folder: Folder, name: ExtendedName) -> None:
    folder.extended.pop(name, None)


def _uri_xml(uri: str) -> str:
    return f'<t:FieldURI FieldURI="{uri}"/>'


@operation("UpdateFolder")
def update_folder(session: Session) -> str:
    """Answer UpdateFolder."""

    def one(element: Any) -> str:
        folder = session.folder(element[0])
        if not folder.mailbox.rights_of(session.user, folder).folder_owner:
            raise ResponseError("ErrorAccessDenied")
        for apply in [_folder_change(folder, change, session) for change in element.find(f"{T}Updates")]:
            apply()
        folder.mailbox.touch_folder(folder)
        return success("UpdateFolder", f"<m:Folders>{render_folder(folder, Shape(), session)}</m:Folders>")

    return each("UpdateFolder", session.request.root.find(f"{M}FolderChanges"), one, inner=_NO_FOLDERS)


@operation("DeleteFolder")
def delete_folder(session: Session) -> str:
    """Answer DeleteFolder."""
    root = session.request.root

    def one(element: Any) -> str:
        folder = session.folder(element)
        if folder.distinguished_id:
            raise ResponseError("ErrorDeleteDistinguishedFolder")
        box = folder.mailbox
        if not box.rights_of(session.user, folder).folder_owner:
            raise ResponseError("ErrorAccessDenied")
        if root.get("DeleteType") == "MoveToDeletedItems":
            folder.parent = box.folder("deleteditems")
            box.touch_folder(folder)
        else:
            box.remove_folder(folder)
        return success("DeleteFolder")

    return each("DeleteFolder", root.find(f"{M}FolderIds"), one)


@operation("EmptyFolder")
def empty_folder(session: Session) -> str:
    """Answer EmptyFolder."""
    root = session.request.root

    def one(element: Any) -> str:
        folder = session.folder(element)
        if not folder.mailbox.rights_of(session.user, folder).may_delete(created_by_user=False):
            raise ResponseError("ErrorAccessDenied")
        for item in list(folder.items.values()):
            session.organisation.delete_item(item, root.get("DeleteType"), by=session.user)
        if root.get("DeleteSubFolders") in ("true", "1"):
            for child in folder.children:
                folder.mailbox.remove_folder(child)
        return success("EmptyFolder")

    return each("EmptyFolder", root.find(f"{M}FolderIds"), one)


@operation("SyncFolderHierarchy")
def sync_folder_hierarchy(session: Session) -> str:
    """Answer SyncFolderHierarchy: all folders of the mailbox, or those below one, that came, changed or went."""
    root = session.request.root

    def one() -> str:
        given = root.find(f"{M}SyncFolderId")
        if given is not None:
            top = session.folder(given[0], missing="ErrorSyncFolderNotFound")
        else:
            top = session.mailbox_named(None).folder("msgfolderroot")
        box = top.mailbox
        shape = _shape(session)
        try:
            text = root.findtext(f"{M}SyncState")
            state = changes.decode_state(text, top.sync_owner, _HIERARCHY) if text else changes.SyncState()
        except changes.InvalidSyncState:
            raise ResponseError("ErrorInvalidSyncStateData") from None
        state = replace(state, ceiling=box.hierarchy.last)
        below = {folder.number for folder in top.below()}
        lines = []
        for kind, number in box.hierarchy.since(state):
            if kind == "Delete":
                folder_id = Folder.id_of(box, number)
                lines.append(f'<t:Delete><t:FolderId Id="{folder_id}"/></t:Delete>')
            elif number in below and _visible(box.folders[number], session):
                lines.append(f"<t:{kind}>{render_folder(box.folders[number], shape, session)}</t:{kind}>")
        new = changes.encode_state(
            changes.SyncState(base=state.ceiling, ceiling=state.ceiling), top.sync_owner, _HIERARCHY
        )
        return success(
            "SyncFolderHierarchy",
            f"<m:SyncState>{new}</m:SyncState><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>"
            f"<m:Changes>{''.join(lines)}</m:Changes>",
        )

    inner = "<m:SyncState/><m:IncludesLastFolderInRange>true</m:IncludesLastFolderInRange>"
    return whole("SyncFolderHierarchy", one, inner=inner)
