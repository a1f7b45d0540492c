"""Which properties an answer gives of an item, and writing them: shapes, compiled once and kept."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..items import MAIL, ExtendedName
from ..values import Body
from . import codecs, extended
from .computed import COMPUTED, DEFAULTS
from .computed_meetings import compute_of
from .errors import ResponseError
from .mime_writing import mime_of
from .properties import INDEXED, ITEM_CLASSES, Property, is_field_uri
from .views import View
from .xml import M, T

Part = Callable[[View], str]


#: what is in Default for some classes only (Microsoft's table 3)
_DEFAULT_OF = {
    "item:Body": {"Message"},
    "item:Sensitivity": {"Message"},
    "item:Size": {"Message"},
    "item:DateTimeSent": {"Message"},
    "item:DateTimeCreated": {"Message"},
    "item:IsAssociated": {"CalendarItem", "Message"},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """What a client wants to see of an item. ``extended`` pairs each name with its element in the answer."""

    base: str = "IdOnly"
    body_type: str = "Best"
    mime: bool = False
    uris: frozenset[str] = frozenset()
    extended: tuple[tuple[ExtendedName, str], ...] = ()


ID_ONLY = Shape()


def read_path(element: Any) -> str | ExtendedName:
    """The property that a FieldURI, IndexedFieldURI or ExtendedFieldURI names.

    Raises:
        ResponseError: an extended property that cannot be.
    """
    if element.tag == f"{T}FieldURI":
        uri: str = element.get("FieldURI")
        return uri
    if element.tag == f"{T}IndexedFieldURI":
        uri = element.get("FieldURI")
        return INDEXED.get(uri, uri)
    return extended.read_name(element)


def read_shape(element: Any) -> Shape:
    """The shape in an ``ItemShape``.

    Raises:
        ResponseError: it asks for what no item can have.
    """
    base = element.findtext(f"{T}BaseShape") or "IdOnly"
    body_type = element.findtext(f"{T}BodyType") or "Best"
    mime = (element.findtext(f"{T}IncludeMimeContent") or "").strip() in ("true", "1")
    more = element.find(f"{T}AdditionalProperties")
    if more is None:
        return Shape(base.strip(), body_type.strip(), mime)
    uris = set()
    names: dict[ExtendedName, str] = {}
    for child in more:
        path = read_path(child)
        if isinstance(path, ExtendedName):
            names.setdefault(path, extended.write_name(path, child))
        elif path.startswith("folder:") or not is_field_uri(path):
            raise ResponseError("ErrorInvalidPropertyRequest", xml=f'<t:FieldURI FieldURI="{path}"/>')
        else:
            uris.add(path)
    return Shape(base.strip(), body_type.strip(), mime, frozenset(uris), tuple(names.items()))


def shape_of(root: Any) -> Shape:
    """The shape an operation asks for; ids only without one."""
    element = root.find(f"{M}ItemShape")
    return ID_ONLY if element is None else read_shape(element)


def _mime(view: View) -> str:
    raw = base64.b64encode(mime_of(view).encode("utf-8", "replace")).decode()
    return f'<t:MimeContent CharacterSet="UTF-8">{raw}</t:MimeContent>'


def _body(element: str, body_type: str) -> Part:
    return lambda view: codecs.render_body(element, view.values.get("item:Body") or Body(""), body_type)


def _stored(row: Property) -> Part:
    write = codecs.WRITE[row.kind]
    element, uri = row.element, row.uri
    default = DEFAULTS.get(uri)

    def part(view: View) -> str:
        value = view.values.get(uri)
        if value is None:
            if default is None:
                return ""
            value = default
        return write(element, value)

    return part


def _id(view: View) -> str:
    return f'<t:ItemId Id="{view.id}" ChangeKey="{view.change_key}"/>'


def _extended(names: tuple[tuple[ExtendedName, str], ...]) -> Part:
    def part(view: View) -> str:
        found = []
        for name, name_xml in names:
            value = extended.value_of(name, view)
            if value is not None:
                found.append(extended.write_value(name_xml, value))
        return "".join(found)

    return part


def _part(element: str, row: Property, shape: Shape) -> Part:
    if row.kind == "id":
        return _id
    if row.kind == "extended":
        return _extended(shape.extended)
    if row.kind == "mime":
        return _mime
    if row.uri in ("item:Body", "item:UniqueBody", "item:NormalizedBody"):
        return _body(row.element, shape.body_type)
    if row.uri == "item:TextBody":
        return _body(row.element, "Text")
    return compute_of(element, row.uri) or COMPUTED.get(row.uri) or _stored(row)


def _included(element: str, row: Property, shape: Shape, get: bool) -> bool:
    if row.kind == "id":
        return True
    if row.kind == "extended":
        return bool(shape.extended)
    if row.get_only and not get:
        return False
    if row.uri in shape.uris or (row.kind == "mime" and shape.mime):
        return True
    if shape.base == "Default" and row.uri in _DEFAULT_OF:
        return ("Message" if element in MAIL else element) in _DEFAULT_OF[row.uri]
    return (row.shape == "D" and shape.base != "IdOnly") or (row.shape == "A" and shape.base == "AllProperties")


@lru_cache(maxsize=2048)
def _plan(element: str, shape: Shape, get: bool) -> tuple[Part, ...]:
    return tuple(_part(element, row, shape) for row in ITEM_CLASSES[element] if _included(element, row, shape, get))


def render(view: View, shape: Shape, *, get: bool = False) -> str:
    """The item in this shape. ``get``: as GetItem answers, with what FindItem and SyncFolderItems leave out."""
    element = view.item.element
    inner = "".join([part(view) for part in _plan(element, shape, get)])
    return f"<t:{element}>{inner}</t:{element}>"
