"""Namespaces, and text as it may stand in XML."""

from __future__ import annotations

from datetime import UTC, datetime

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
XSI = "http://www.w3.org/2001/XMLSchema-instance"

M = f"{{{MESSAGES}}}"
T = f"{{{TYPES}}}"
S = f"{{{SOAP}}}"

# What XML 1.0 cannot hold becomes U+FFFD: a client's parser must not choke on somebody's stray control character.
_ESCAPES: dict[int, str] = {code: "\ufffd" for code in range(32) if code not in (9, 10, 13)}
_ESCAPES |= dict.fromkeys((65534, 65535, *range(55296, 57344)), "�")
_ESCAPES |= {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", 13: "&#xD;"}
_TEXT = str.maketrans(_ESCAPES)
_ATTRIBUTE = str.maketrans(_ESCAPES | {ord('"'): "&quot;", 9: "&#x9;", 10: "&#xA;"})


def escape(text: str) -> str:
    """Text as the content of an element."""
    return text if text.isalnum() else text.translate(_TEXT)


def quote(text: str) -> str:
    """Text as the value of an attribute, without the quotes."""
    return text if text.isalnum() else text.translate(_ATTRIBUTE)


def instant(value: datetime) -> str:
    """An instant as Exchange writes it: UTC, whole seconds, Z."""
    at = value.astimezone(UTC)
    return f"{at.year:04d}-{at.month:02d}-{at.day:02d}T{at.hour:02d}:{at.minute:02d}:{at.second:02d}Z"


def boolean(value: object) -> str:
    """A truth value as Exchange writes it."""
    return "true" if value else "false"
