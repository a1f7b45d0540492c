"""What a server answered, read from its bytes as leniently as is safe.

Servers are not equal: response messages with other names, elements missing or twice, codes of their own, times with nine decimals,
characters that XML does not allow. All that is read. Refused are document types and entities, and what is no SOAP at all.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lxml import etree

from ops_lib.errors import AnswerLost, MailboxError, ServerFailed
from ops_lib.mailbox.ews import failures

Element = Any  # lxml has no types of its own


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered: HTTP status (200, or another that carries SOAP), headers and the body as it came."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """One response message: its class (Success, Warning, Error), code, text, named values of MessageXml, and the element itself."""

    response_class: str
    response_code: str
    text: str
    element: Element
    values: dict[str, str] = field(default_factory=dict)

    @property
    def is_success(self) -> bool:
        return self.response_class != "Error" and self.response_code in ("NoError", "")

    def error(self, subject: str, *, about_item: bool = False) -> MailboxError:
        """The error this message stands for."""
        return failures.of_code(
            self.response_code or "no response code",
            self.text,
            subject=subject,
            values=self.values,
            about_item=about_item,
        )


@lru_cache(maxsize=4096)
def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def name_of(element: Element) -> str:
    """An element's name without its namespace; empty for comments and the like."""
    return _local(element.tag)


def child(element: Element | None, *names: str) -> Element | None:
    """The first child with one of the names after another, down the path; the namespace does not matter."""
    for name in names:
        if element is None:
            return None
        element = next((part for part in element if name_of(part) == name), None)
    return element


def children(element: Element | None, *names: str) -> list[Element]:
    """The elements inside what `child` finds; none where there is none."""
    holder = child(element, *names)
    return [part for part in holder if name_of(part)] if holder is not None else []


def text_of(element: Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""


# ── the envelope ─────────────────────────────────────────────────────────────────────────────────────────────────────
def messages(answer: Answer, subject: str, operation: str = "") -> list[Message]:
    """One `Message` per response message, in the answer's order. A fault is raised as what it means, whatever its HTTP status.

    Raises `AnswerLost` for what is no SOAP (cut short, empty, a page) or answers another operation than the one given, and whatever a fault
    stands for.
    """
    found: list[Message] = []
    for root in parse(answer.content, subject, answer.status):
        body = child(root, "Body")
        if body is None:
            raise AnswerLost("the answer is no SOAP envelope", subject=subject, http_status=answer.status)
        fault = child(body, "Fault")
        if fault is not None:
            raise _fault(fault, answer, subject)
        response = next(iter(children(root, "Body")), None)
        if response is None:
            raise AnswerLost("the answer's body is empty", subject=subject, http_status=answer.status)
        if operation and name_of(response) != f"{operation}Response":
            raise AnswerLost(
                f"the answer is to another question than {operation}", subject=subject, http_status=answer.status
            )
        found += [_message(element) for element in _message_elements(response)]
    if not found:
        raise ServerFailed("the answer holds no response message", subject=subject, http_status=answer.status)
    return found


def _message_elements(response: Element) -> list[Element]:
    """Usually the children of ResponseMessages; some servers call that Responses, and some operations answer without it."""
    for name in ("ResponseMessages", "Responses"):
        elements = children(response, name)
        if elements:
            return elements
    if response.get("ResponseClass") or child(response, "ResponseCode") is not None:
        return [response]
    return [element for element in response.iter() if element.get("ResponseClass")]


def _message(element: Element) -> Message:
    return Message(
        response_class=element.get("ResponseClass", ""),
        response_code=text_of(child(element, "ResponseCode")),
        text=text_of(child(element, "MessageText")),
        element=element,
        values=_values(child(element, "MessageXml")),
    )


def _values(holder: Element | None) -> dict[str, str]:
    """The named values of a MessageXml, and what stands in it under a name of its own (LineNumber, Violation …)."""
    found: dict[str, str] = {}
    if holder is not None:
        for part in holder.iter():
            if part is not holder and isinstance(part.tag, str):
                found[part.get("Name") or name_of(part)] = text_of(part)
    return found


def _fault(fault: Element, answer: Answer, subject: str) -> MailboxError:
    """What a SOAP fault means: the code is in the detail on Exchange, bare in faultcode elsewhere."""
    detail = child(fault, "detail")
    bare = text_of(child(fault, "faultcode"))
    code = text_of(child(detail, "ResponseCode"))
    if not code:
        local = bare.rpartition(":")[2]
        code = local if local.startswith("Error") else bare
    text = text_of(child(detail, "Message")) or text_of(child(fault, "faultstring"))
    values = _values(child(detail, "MessageXml"))
    violation = values.get("Violation", "")
    if violation:
        text = f"{text} {violation}"
    return failures.of_code(
        code or "SOAP fault",
        text,
        subject=subject,
        values=values,
        http_status=answer.status,
        retry_after=failures.retry_after_seconds(answer.headers),
    )


# ── the bytes ────────────────────────────────────────────────────────────────────────────────────────────────────────
_REFERENCE = re.compile(rb"&#(?:x([0-9a-fA-F]+)|([0-9]+));")
_CONTROL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def parse(content: bytes, subject: str, status: int = 200) -> list[Element]:
    """The root elements: one, or as many as a streaming answer holds envelopes, one after the other.

    Raises `AnswerLost` for what cannot be read, `ServerFailed` for a document type.
    """
    content = _as_utf8(content)
    first = re.search(rb"<[A-Za-z_]", content)
    if first is None:
        raise AnswerLost("the answer is no XML", subject=subject, http_status=status)
    prolog = content[: first.start()].lower()
    if b"<!doctype" in prolog:
        if b"html" in prolog:
            raise AnswerLost("the answer is a web page, not SOAP", subject=subject, http_status=status)
        raise ServerFailed(
            "the answer declares a document type, which no EWS answer does", subject=subject, http_status=status
        )
    attempts: tuple[Callable[[], list[bytes]], ...] = (
        lambda: [content],
        lambda: [_without_invalid(content)],
        lambda: _envelopes(_without_invalid(content)),
    )
    for attempt in attempts:
        try:
            return [_root(part) for part in attempt()]
        except etree.XMLSyntaxError:
            continue
    raise AnswerLost("the answer is cut short or no XML", subject=subject, http_status=status)


def _as_utf8(content: bytes) -> bytes:
    """An answer in UTF-16 in the encoding that the rest of this module reads; any other as it is."""
    if not content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"<\0", b"\0<")):
        return content
    little = content.startswith((codecs.BOM_UTF16_LE, b"<\0"))
    text = content.decode("utf-16-le" if little else "utf-16-be", "replace").lstrip("\ufeff")
    return re.sub(r"^<\?xml[^>]*\?>", "", text).encode()


def _envelopes(content: bytes) -> list[bytes]:
    """The envelopes of a streaming answer, each a document."""
    ends = [match.end() for match in re.finditer(rb"</(?:[\w.-]+:)?Envelope\s*>", content)]
    return [
        content[start:end].strip()
        for start, end in zip([0, *ends], [*ends, len(content)], strict=False)
        if content[start:end].strip()
    ]


def _root(content: bytes) -> Element:
    # A parser of its own for each answer: lxml's are not to be shared between threads.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_pis=True, remove_comments=True
    )
    return etree.fromstring(content, parser)


def _without_invalid(content: bytes) -> bytes:
    """The same answer without characters that XML 1.0 does not allow: some servers pass on what a user once pasted."""

    def keep(match: re.Match[bytes]) -> bytes:
        hexadecimal, decimal = match.groups()
        number = int(hexadecimal, 16) if hexadecimal else int(decimal)
        return b"" if number > 0x10FFFF or _CONTROL.match(chr(number)) else match.group(0)

    text = _REFERENCE.sub(keep, content).decode("utf-8", "replace")
    return _CONTROL.sub("", text).encode()
