"""The CRM's part of an event's body, and an Outlook body as text.

Into a CRM-born event goes a marked block: the links to activity and individual, and the notes. What the user writes around it stays.
The marks are words, not attributes: Outlook rewrites the HTML of a body it edits and keeps only what is seen.
"""

from __future__ import annotations

import html
import re
from urllib.parse import quote

from lxml import etree
from lxml import html as lxml_html

from ops_lib.model import Entry
from ops_lib.sync.mapping import clean

BEGIN_MARK = "––– CRM: kept up to date, write below –––"
END_MARK = "––– end of CRM –––"

_BREAKS = frozenset(
    [
        "p",
        "div",
        "br",
        "tr",
        "li",
        "ul",
        "ol",
        "table",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "hr",
        "pre",
        "section",
        "article",
    ]
)
_GAPS = frozenset(["td", "th"])
_ACTIVE = frozenset(
    [
        "script",
        "style",
        "head",
        "title",
        "iframe",
        "object",
        "applet",
        "svg",
        "math",
        "template",
        "noscript",
        "textarea",
        "select",
        "button",
        "audio",
        "video",
    ]
)
_MAX_BODY_CHARACTERS = 4_000_000  # a body beyond this is cut before it is parsed; 32 KB of it are kept


def crm_block(entry: Entry, activity_id: str, crm_url: str) -> str:
    """The marked block as HTML: links to the activity and, if there is one, the individual; then the notes."""
    base = crm_url.rstrip("/")
    lines = [
        f"<div>{BEGIN_MARK}</div>",
        f'<div><a href="{html.escape(base)}/activity/{quote(activity_id)}">Open the activity in the CRM</a></div>',
    ]
    if entry.individual_id:
        name = html.escape(entry.individual_name or "the individual")
        lines.append(
            f'<div>For: <a href="{html.escape(base)}/individual/{quote(entry.individual_id)}">{name}</a></div>'
        )
    lines.extend(f"<div>{html.escape(line) or '&nbsp;'}</div>" for line in entry.notes.split("\n") if entry.notes)
    lines.append(f"<div>{END_MARK}</div>")
    return "<div>" + "".join(lines) + "</div>"


def with_block(body: str | None, block: str, *, is_html: bool) -> str:
    """A body as HTML in which the CRM's block is ``block``: in the place of an earlier one, else before what is there."""
    if body is None or not body.strip():
        return f"<html><body>{block}</body></html>"
    if not is_html:
        body = as_html(body)
    document = _parse(body)
    root = document.find("body")
    if root is None:
        return f"<html><body>{block}</body></html>"
    place = _cut_block(root)
    new = lxml_html.fragment_fromstring(block)
    if place is None:
        new.tail, root.text = root.text, None
        root.insert(0, new)
    else:
        parent, index = place
        parent.insert(index, new)
    return str(lxml_html.tostring(document, encoding="unicode"))


def as_html(text: str) -> str:
    """Plain text as an HTML body, line by line."""
    lines = "".join(f"<div>{html.escape(line) or '&nbsp;'}</div>" for line in clean(text).split("\n"))
    return f"<html><body>{lines}</body></html>"


def as_text(body: str | None, *, is_html: bool) -> str:
    """A body as text: no markup, no scripts, no styles; links keep their words. Nothing in it can act.

    Row O8: active content is left out with its element (scripts, styles, form controls, embedded objects), the text around it stays.
    """
    if not body:
        return ""
    body = body[:_MAX_BODY_CHARACTERS]
    if not is_html:
        return clean(body).strip()
    parts: list[str] = []
    root = _parse(body).find("body")
    if root is not None:
        _collect(root, parts)
    if not "".join(parts).strip():
        parts = [_without_tags(body)]
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).strip() for line in "".join(parts).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def _collect(root: etree._Element, parts: list[str]) -> None:
    stack: list[tuple[etree._Element, bool]] = [(root, False)]
    while stack:  # no recursion: bodies nest thousands deep
        node, is_done = stack.pop()
        tag = node.tag if isinstance(node.tag, str) else ""  # comments and processing instructions have none
        if is_done:
            if tag in _BREAKS and tag != "br":
                parts.append("\n")
            if node is not root and node.tail:
                parts.append(_flow(node.tail))
            continue
        stack.append((node, True))
        if not tag or tag in _ACTIVE:
            continue
        if tag == "br" or (tag in _BREAKS and parts and not parts[-1].endswith("\n")):
            parts.append("\n")
        elif tag in _GAPS:
            parts.append(" ")
        if node.text:
            parts.append(node.text if tag == "pre" else _flow(node.text))
        stack.extend((child, False) for child in reversed(node))


def _flow(text: str) -> str:
    return re.sub(r"[ \t\r\n]+", " ", text)


_ENDS = re.compile(r"(?i)</(?:html|body)\s*>")


def _parse(body: str) -> etree._Element:
    """A body as a tree. The parser would stop at the first end of a document: what a gateway or an editor put behind it is text all the same."""
    body = _ENDS.sub("", body[:_MAX_BODY_CHARACTERS])
    parser = lxml_html.HTMLParser(encoding="utf-8", huge_tree=True, no_network=True)
    try:
        return lxml_html.document_fromstring(clean(body).encode(), parser=parser)
    except etree.ParserError:  # nothing in it that is an element or text
        return lxml_html.document_fromstring("<html><body></body></html>")


def _without_tags(markup: str) -> str:
    """The words of markup that the parser gave up on (it follows nesting to some depth only)."""
    markup = re.sub(r"(?is)<(script|style|head|textarea)\b.*?</\1\s*>", " ", markup)
    return html.unescape(re.sub(r"(?s)<[^>]*>", "\n", markup))


def _cut_block(root: etree._Element) -> tuple[etree._Element, int] | None:
    """Take an earlier block out, whatever an editor has made of its markup. Answers where it began."""
    order = list(root.iter())
    first = next((n for n in order if isinstance(n.tag, str) and BEGIN_MARK in _own_text(n)), None)
    last = next((n for n in order if isinstance(n.tag, str) and END_MARK in _own_text(n)), None)
    if first is None or last is None or order.index(last) < order.index(first):
        return None
    common = _common_ancestor(first, last)
    begin, end = _child_below(common, first), _child_below(common, last)
    children = list(common)
    start, stop = children.index(begin), children.index(end)
    if common is not root and start == 0 and stop == len(children) - 1 and not (common.text or "").strip():
        parent = common.getparent()
        index = parent.index(common)
        _remove(common)
        return parent, index
    for child in children[start : stop + 1]:
        _remove(child)
    return common, start


def _own_text(node: etree._Element) -> str:
    """The text directly in an element, inline elements included, but not that of nested blocks."""
    pieces = [node.text or ""]
    for child in node:
        if isinstance(child.tag, str) and child.tag not in _BREAKS and child.tag not in _GAPS:
            pieces.append(_own_text(child) if len(child) else child.text or "")
        pieces.append(child.tail or "")
    return _flow("".join(pieces).replace("\u00a0", " "))


def _common_ancestor(one: etree._Element, other: etree._Element) -> etree._Element:
    above = {id(node) for node in one.iterancestors()}
    return next(node for node in other.iterancestors() if id(node) in above)


def _child_below(ancestor: etree._Element, node: etree._Element) -> etree._Element:
    while node.getparent() is not ancestor:
        node = node.getparent()
    return node


def _remove(node: etree._Element) -> None:
    """Take an element out and leave the text behind it."""
    parent = node.getparent()
    if node.tail:
        previous = node.getprevious()
        if previous is not None:
            previous.tail = (previous.tail or "") + node.tail
        else:
            parent.text = (parent.text or "") + node.tail
    parent.remove(node)
