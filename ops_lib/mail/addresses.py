"""Addresses and lines of a message's header as they may stand there. Pure.

What could end a line of the header and begin another (CR, LF and everything like it) is refused; what only makes a name look like something else
(marks that turn the direction of writing, an address in a name) is left out.
"""

from __future__ import annotations

import re
import unicodedata

import idna

from ops_lib.errors import InputError

LONGEST_ADDRESS = 254
LONGEST_LOCAL_PART = 64
LONGEST_SUBJECT = 255
"""Exchange keeps so many characters of a subject."""

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL_PART = re.compile(rf"{_ATOM}(\.{_ATOM})*\Z")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)\Z")
_TURNING = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks of direction: with them, a name or a subject reads as another."""


def mail_address(value: str, of_whom: str) -> str:
    """An address as it goes into a message: a domain with letters beyond ASCII in its wire form (``xn--…``).

    **Raises** `InputError` naming ``of_whom``, the reason and the mend.
    """
    text = value.strip()
    local, at, domain = text.rpartition("@")
    if not (local and at and domain):
        raise _refused(text, of_whom, "is no email address", "write it as name@domain.")
    if any(unicodedata.category(each)[0] in "CZ" for each in text):
        raise _refused(text, of_whom, "holds white space or an invisible character", "write it as name@domain.")
    if not local.isascii():
        raise _refused(
            text,
            of_whom,
            "has letters beyond ASCII before the @, which many servers on the way do not take",
            "ask for an address without them.",
        )
    if len(local) > LONGEST_LOCAL_PART or not _LOCAL_PART.match(local):
        raise _refused(text, of_whom, "cannot be written like that before the @", "correct the address.")
    try:
        wire = domain.lower() if domain.isascii() else idna.encode(domain.lower()).decode("ascii")
    except idna.IDNAError:
        raise _refused(text, of_whom, "has a domain that cannot be", "correct the part after the @.") from None
    if not all(_LABEL.match(label) for label in wire.split(".")) or len(wire) + len(local) + 1 > LONGEST_ADDRESS:
        raise _refused(text, of_whom, "has a domain that cannot be", "correct the part after the @.")
    return f"{local}@{wire}"


def shown_name(name: str) -> str:
    """A person's name as it may stand beside an address; "" where it would pass for another address."""
    plain = "".join(" " if unicodedata.category(each) in ("Cc", "Zl", "Zp") else each for each in name)
    plain = "".join(each for each in plain if each not in _TURNING and each not in '<>"')
    plain = " ".join(plain.split())
    return "" if "@" in plain or "＠" in plain else plain[:200]


def subject_line(text: str) -> str:
    """A subject. **Raises** `InputError` for one that is empty, more than a line, or longer than Exchange keeps."""
    line = text.strip()
    if not line:
        raise InputError(
            "the subject is empty", subject="the message", fix="give --subject, or use a template with one."
        )
    for each in line:
        if unicodedata.category(each) in ("Cc", "Zl", "Zp"):
            raise InputError(
                f"the subject holds a line break or control character (U+{ord(each):04X})",
                subject="the message",
                fix="write it on one line; where it came out of a field of the CRM, correct that field.",
            )
        if each in _TURNING:
            raise InputError(
                f"the subject holds a mark that turns the direction of writing (U+{ord(each):04X})",
                subject="the message",
                fix="take it out: with it, the subject reads as another.",
            )
    if len(line.encode("utf-16-le")) // 2 > LONGEST_SUBJECT:
        raise InputError(
            f"the subject has {len(line)} characters, and Exchange keeps {LONGEST_SUBJECT}",
            subject="the message",
            fix="shorten it.",
        )
    return unicodedata.normalize("NFC", line)


def file_name(name: str) -> str:
    """An attachment's name: its last part, without what no file system or header takes. **Raises** `InputError` where nothing is left."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(
        each for each in last if unicodedata.category(each) not in ("Cc", "Zl", "Zp") and each not in _TURNING
    ).strip(" .")
    if not plain:
        raise InputError(f"{name!r} is no name for an attachment", fix="rename the file.")
    return plain


def _refused(text: str, of_whom: str, reason: str, fix: str) -> InputError:
    seen = "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)
    return InputError(f"{seen or 'an empty text'} {reason}", subject=of_whom, fix=fix)
