"""Formatted bodies: what may stand in one, which pictures it shows, and how it reads as text. Pure.

Mail programs leave scripts, frames and forms out, and spam filters count them; a body that has any is refused before it is sent rather than changed.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from lxml import etree
from lxml import html as lxml_html

from ops_lib.errors import InputError
from ops_lib.sync.body import as_text

LONGEST_HTML = 4_000_000

_ACTIVE = frozenset(
    [
        "applet",
        "base",
        "button",
        "embed",
        "form",
        "frame",
        "frameset",
        "iframe",
        "input",
        "link",
        "object",
        "option",
        "script",
        "select",
        "textarea",
    ]
)
_READ_OTHERWISE = frozenset(
    ["listing", "math", "noembed", "noframes", "noscript", "plaintext", "svg", "template", "xmp"]
)
"""Browsers read what is in these by rules of their own: something active could stand in them unseen."""

_SCHEMES = frozenset({"http", "https", "mailto", "tel", "cid"})
_TARGETS = ("href", "src", "background", "action", "formaction", "poster", "data", "xlink:href", "srcset")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):", re.IGNORECASE)
_IN_STYLES = re.compile(r"expression\s*\(|javascript\s*:|-moz-binding|behavior\s*:|@import", re.IGNORECASE)


def whole(html: str) -> str:
    """The body as a whole document, the way mail programs expect it."""
    if re.search(r"<(html|body)\b", html, re.IGNORECASE):
        return html
    return f'<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>{html}</body></html>'


def pictures_in(html: str) -> list[str]:
    """Check a body, and answer the Content-IDs of the pictures it shows, each once.

    **Raises** `InputError` for what is active in it (scripts, frames, forms, handlers), a link or picture of another kind, or no text at all.
    """
    if len(html) > LONGEST_HTML:
        raise _refused(f"has more than {LONGEST_HTML:,} characters", "put long things into an attachment.")
    tree = _tree(html)
    shown: dict[str, None] = {}
    for node in tree.iter():
        if not isinstance(node.tag, str):
            continue
        tag = node.tag.lower()
        if tag in _ACTIVE | _READ_OTHERWISE or (tag == "meta" and (node.get("http-equiv") or "").lower() == "refresh"):
            raise _refused(f"holds <{tag}>, which mail programs do not show", "take it out.")
        if tag == "style" and _IN_STYLES.search(node.text or ""):
            raise _refused("holds a style that does something", "take it out.")
        for name, value in node.attrib.items():
            _check_attribute(tag, name.lower(), value)
        source = (node.get("src") or "").strip()
        if tag == "img" and source.lower().startswith("cid:"):
            shown[unquote(source[4:])] = None
    if not shown and not as_text(html, is_html=True) and tree.find(".//img") is None:
        raise _refused("says nothing", "write something.")
    return list(shown)


def text_of(html: str) -> str:
    """A formatted body as text: links with their addresses, pictures with their words."""
    tree = _tree(html)
    for link in tree.iter("a"):
        target = (link.get("href") or "").strip()
        words = " ".join("".join(link.itertext()).split())
        plain = target.removeprefix("mailto:").removeprefix("tel:")
        if target and not target.startswith("#") and plain.rstrip("/") != words.rstrip("/"):
            _append(link, f" ({plain})")
    for picture in list(tree.iter("img")):
        words = " ".join((picture.get("alt") or "").split())
        if words:
            picture.tail = f"[{words}]{picture.tail or ''}"
    return as_text(str(lxml_html.tostring(tree, encoding="unicode")), is_html=True)


def _append(element: etree._Element, text: str) -> None:
    if len(element):
        element[-1].tail = f"{element[-1].tail or ''}{text}"
    else:
        element.text = f"{element.text or ''}{text}"


def _check_attribute(tag: str, name: str, value: str) -> None:
    if name.startswith("on"):
        raise _refused(f"holds the handler {name} on <{tag}>", "take it out.")
    if name == "style" and _IN_STYLES.search(value):
        raise _refused(f"holds a style on <{tag}> that does something", "take it out.")
    if name not in _TARGETS:
        return
    plain = "".join(each for each in value if each > " " and each.isprintable())  # how a browser reads it
    scheme = _SCHEME.match(plain)
    if scheme is None and (plain.startswith("#") or not plain):
        return
    if scheme is None:
        raise _refused(
            f"leads to {value[:80]!r} on <{tag}>, which means nothing in a letter",
            "write the whole address (https://…), or give the picture with --picture and show it as cid:NAME.",
        )
    if scheme.group(1).lower() not in _SCHEMES:
        raise _refused(f"leads to {scheme.group(1)}: on <{tag}>", f"use one of {', '.join(sorted(_SCHEMES))}.")


def _tree(html: str) -> etree._Element:
    parser = lxml_html.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True)
    try:
        return lxml_html.document_fromstring(html.encode("utf-8", "replace"), parser=parser)
    except etree.ParserError:
        return lxml_html.document_fromstring("<html><body></body></html>")


def _refused(reason: str, fix: str) -> InputError:
    return InputError(f"the formatted body {reason}", subject="the message", fix=fix)
