"""The CRM's part of an event's body, and an Outlook body as text.

Into a CRM-born event goes a marked block: the links to activity and individual, and the notes. What the user writes around it stays.
The marks are words, not attributes: Outlook rewrites the HTML of a body it edits and keeps only what is seen.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
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
        name = _escaped(entry.individual_name or "the individual")
        lines.append(
            f'<div>For: <a href="{html.escape(base)}/individual/{quote(entry.individual_id)}">{name}</a></div>'
        )
    lines.extend(f"<div>{_escaped(line) or '&nbsp;'}</div>" for line in entry.notes.split("\n") if entry.notes)
    lines.append(f"<div>{END_MARK}</div>")
    return "<div>" + "".join(lines) + "</div>"


def _escaped(text: str) -> str:
    """Text for the block: no markup, and no mark of ours, by which the block's end would be mistaken."""
    return html.escape(clean(text).replace("–––", "---"))


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
    place = _cut_blocks(root)
    new = lxml_html.fragment_fromstring(block)
    if place is None:
        new.tail, root.text = root.text, None
        root.insert(0, new)
    else:
        new.tail = place.tail
        place.getparent().replace(place, new)
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


# ── the block in a body ──────────────────────────────────────────────────────────────────────────────────────────────
_BLANK = "[\\s\u00a0]+"
_BEGINS = re.compile(_BLANK.join(map(re.escape, BEGIN_MARK.split())))
_ENDS_BLOCK = re.compile(_BLANK.join(map(re.escape, END_MARK.split())))
_HOLDERS = frozenset(["body", "div", "td", "th", "li", "blockquote", "section", "article", "center"])


@dataclass(frozen=True, slots=True)
class _Piece:
    """A run of text: that of an element before its first child, or that behind it. ``start`` is where it begins in the whole text."""

    element: etree._Element
    is_tail: bool
    text: str
    start: int


def _cut_blocks(root: etree._Element) -> etree._Element | None:
    """Take every block out, whatever an editor has made of its markup, and nothing besides. Answers an empty element where the first one was.

    The marks are looked for in the text as it reads, across whatever elements it is torn into. A mark without its counterpart is left alone.
    """
    place: etree._Element | None = None
    while (span := _first_block(root)) is not None:
        begin = _split(*span[0])
        # What was behind the beginning is another piece now.
        end_piece, end_offset = span[1]
        if end_piece.element is span[0][0].element and end_piece.is_tail == span[0][0].is_tail:
            end_piece, end_offset = _Piece(begin, True, begin.tail or "", 0), end_offset - span[0][1]
        end = _split(end_piece, end_offset)
        _clear_between(root, begin, end)
        _remove(end)
        begin = _outermost(root, begin)
        if place is None:
            place = begin
        else:
            _remove(begin)
    return place


def _first_block(root: etree._Element) -> tuple[tuple[_Piece, int], tuple[_Piece, int]] | None:
    """Where the first block begins and where it ends: pieces, and how far into them."""
    pieces = _pieces(root)
    text = "".join(piece.text for piece in pieces)
    begins = [found.start() for found in _BEGINS.finditer(text)]
    for end in _ENDS_BLOCK.finditer(text):
        before = bisect_left(begins, end.start())
        if before:
            starts = [piece.start for piece in pieces]
            found = []
            for offset, last in ((begins[before - 1], bisect_right), (end.end(), bisect_left)):
                piece = pieces[last(starts, offset) - 1]
                found.append((piece, offset - piece.start))
            return found[0], found[1]
    return None


def _pieces(root: etree._Element) -> list[_Piece]:
    pieces: list[_Piece] = []
    length = 0
    for event, node in etree.iterwalk(root, events=("start", "end", "comment", "pi")):
        is_tail = event != "start"
        text = (node.tail if is_tail else node.text) or ""
        if text and not (is_tail and node is root):
            pieces.append(_Piece(node, is_tail, text, length))
            length += len(text)
    return pieces


def _split(piece: _Piece, offset: int) -> etree._Element:
    """Put an empty element into a run of text."""
    point = etree.Element("span")
    point.tail = piece.text[offset:]
    if piece.is_tail:
        piece.element.tail = piece.text[:offset]
        parent = piece.element.getparent()
        parent.insert(parent.index(piece.element) + 1, point)
    else:
        piece.element.text = piece.text[:offset]
        piece.element.insert(0, point)
    return point


def _clear_between(root: etree._Element, begin: etree._Element, end: etree._Element) -> None:
    """Take away what lies between two points, and what is left empty around the end."""
    around_end = set(end.iterancestors())
    common = next(node for node in begin.iterancestors() if node in around_end)
    first = begin
    first.tail = None
    while (parent := first.getparent()) is not common:
        for sibling in list(first.itersiblings()):
            parent.remove(sibling)
        first = parent
        first.tail = None
    last = end
    while (parent := last.getparent()) is not common:
        parent.text = None
        for sibling in list(last.itersiblings(preceding=True)):
            parent.remove(sibling)
        last = parent
    for sibling in list(first.itersiblings()):
        if sibling is last:
            break
        common.remove(sibling)
    _prune(root, end)


def _prune(root: etree._Element, point: etree._Element) -> None:
    """Lift a point out of elements in which nothing else is left."""
    while (parent := point.getparent()) is not root and len(parent) == 1 and not _has_words(parent.text, point.tail):
        point.tail = None
        above = parent.getparent()
        tail, parent.tail = parent.tail, None
        above.replace(parent, point)
        point.tail = tail


def _has_words(*texts: str | None) -> bool:
    return any((text or "").replace("\u00a0", " ").strip() for text in texts)


def _outermost(root: etree._Element, point: etree._Element) -> etree._Element:
    """The point where a block may stand: out of what is empty, and before the paragraph it is in."""
    _prune(root, point)
    outer = point.getparent()
    if outer is root or outer.tag in _HOLDERS:
        return point
    while outer.getparent() is not root and outer.getparent().tag not in _HOLDERS:
        outer = outer.getparent()
    _remove(point)
    outer.addprevious(point)
    point.tail = None
    return point


def _remove(node: etree._Element) -> None:
    """Take an element out and leave the text behind it."""
    parent = node.getparent()
    if node.tail:
        previous = node.getprevious()
        if previous is not None:
            previous.tail = (previous.tail or "") + node.tail
        else:
            parent.text = (parent.text or "") + node.tail
        node.tail = None
    parent.remove(node)
