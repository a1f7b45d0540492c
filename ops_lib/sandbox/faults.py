"""Faults on demand: which request goes wrong, and how. Rules are data; ``docs/sandbox.md`` shows each with an example.

A rule says which requests it is about (``operation``, ``mailbox``), which of those it hits (``nth``, ``every``,
``after``, ``times``, ``probability`` with ``seed``) and what then happens (``fault``).
"""

from __future__ import annotations

import difflib
import itertools
import random
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ops_lib.errors import InputError
from ops_lib.sandbox.entra.refusals import MEANINGS
from ops_lib.sandbox.operations import EWS_OPERATIONS
from ops_lib.sandbox.response_codes import ERROR_CODES

TOKEN = "Token"  # noqa: S105  the name of a request, not a secret
DISCOVERY = "OpenIdConfiguration"
AUTHORIZE = "Authorize"
DEVICE_CODE = "DeviceCode"
_ENTRA = frozenset({TOKEN, DISCOVERY, AUTHORIZE, DEVICE_CODE})
_NAMED = EWS_OPERATIONS | _ENTRA | {"*"}
_LONGEST_WAIT_SECONDS = 3600.0

Check = Callable[[Any], Any]


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one request. ``""`` and None mean "not that"."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    soap_fault: str = ""
    response_code: str = ""
    message: str = ""
    back_off_milliseconds: int | None = None
    drop: str = ""  # "before" or "after" the request was applied
    truncate: str = ""  # "length": Content-Length promises more; "chunk": the chunked answer just stops
    keep: float = 0.5  # share of the body that is sent where the answer is truncated
    applied: bool = False  # with status, body, soap_fault, response_code: the request was done all the same
    twice: bool = False
    delay_seconds: float = 0.0  # before the request is applied
    late_seconds: float = 0.0  # after it was applied, before the answer is sent
    aadsts: int = 0  # of requests to Entra: refused with this code


@dataclass(frozen=True)
class Rule:
    """One rule. Matching requests are counted from 1, those up to ``after`` are let through and not counted."""

    id: str
    document: Mapping[str, Any]
    operation: str
    mailbox: str
    nth: tuple[int, ...]
    every: int | None
    after: int
    times: int | None
    probability: float | None
    seed: int
    fault: Fault


def _refuse(name: str, value: Any, reason: str, fix: str) -> InputError:
    return InputError(f"{reason} (it is {value!r})", subject=f"rule, {name}", fix=fix)


def _number(least: float, most: float, *, whole: bool, unit: str = "") -> Check:
    def check(value: Any) -> Any:
        allowed = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, allowed) or not least <= value <= most:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"must be {kind} from {least:g} to {most:g}{unit}")
        return value if whole else float(value)

    return check


def _one_of(*values: str) -> Check:
    def check(value: Any) -> str:
        if value not in values:
            raise ValueError("must be " + " or ".join(f'"{known}"' for known in values))
        return str(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text")
    return value


def _code(value: Any) -> str:
    if not isinstance(value, str) or value not in ERROR_CODES:
        near = difflib.get_close_matches(str(value), sorted(ERROR_CODES), n=1)
        hint = f"; did you mean {near[0]}?" if near else ", such as ErrorServerBusy"
        raise ValueError(f"must be a response code of EWS that is an error{hint}")
    return value


def _aadsts(value: Any) -> int:
    if isinstance(value, bool) or value not in MEANINGS:
        raise ValueError(f"must be one of the AADSTS codes known here: {', '.join(map(str, sorted(MEANINGS)))}")
    return int(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _headers(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError("must be an object of header names and values")
    for name, content in value.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
            raise ValueError(f"{name!r} cannot be the name of a header")
        if name.lower() in ("content-length", "transfer-encoding"):
            raise ValueError(f"{name} is the server's own; truncate makes it wrong")
        if not isinstance(content, str) or re.search(r"[\r\n\0]", content) or not content.isascii():
            raise ValueError(f"the value of {name} must be one line of ASCII text")
    return dict(value)


def _operation(value: Any) -> str:
    if not isinstance(value, str) or value not in _NAMED:
        near = difflib.get_close_matches(str(value), sorted(_NAMED), n=1)
        raise ValueError('is no operation of EWS, nor "*"' + (f"; did you mean {near[0]}?" if near else ""))
    return str(value)


def _mailbox(value: Any) -> str:
    if value != "*" and (not isinstance(value, str) or "@" not in value):
        raise ValueError('must be an email address or "*"')
    return str(value).lower()


def _nth(value: Any) -> tuple[int, ...]:
    several = value if isinstance(value, list) else [value]
    check = _number(1, 10**9, whole=True)
    if not several:
        raise ValueError("must name at least one request, counted from 1")
    return tuple(check(one) for one in several)


_FAULT_FIELDS: dict[str, Check] = {
    "status": _number(200, 599, whole=True),
    "headers": _headers,
    "body": _text,
    "soap_fault": _code,
    "response_code": _code,
    "message": _text,
    "back_off_milliseconds": _number(0, 86_400_000, whole=True, unit=" milliseconds"),
    "drop": _one_of("before", "after"),
    "truncate": _one_of("length", "chunk"),
    "keep": _number(0, 0.99, whole=False),
    "applied": _flag,
    "twice": _flag,
    "delay_seconds": _number(0, _LONGEST_WAIT_SECONDS, whole=False, unit=" seconds"),
    "late_seconds": _number(0, _LONGEST_WAIT_SECONDS, whole=False, unit=" seconds"),
    "aadsts": _aadsts,
}
_RULE_FIELDS: dict[str, Check] = {
    "operation": _operation,
    "mailbox": _mailbox,
    "nth": _nth,
    "every": _number(1, 10**9, whole=True),
    "after": _number(0, 10**9, whole=True),
    "times": _number(1, 10**9, whole=True),
    "probability": _number(0, 1, whole=False),
    "seed": _number(0, 2**63, whole=True),
}
_ENTRA_FIELDS = {"status", "headers", "body", "drop", "delay_seconds", "late_seconds", "aadsts"}
# What each companion goes with; a companion alone would say nothing.
_COMPANIONS = {
    "headers": ("status", "body"),
    "message": ("soap_fault", "response_code"),
    "back_off_milliseconds": ("soap_fault", "response_code"),
    "keep": ("truncate",),
    "applied": ("status", "body", "soap_fault", "response_code"),
}
_KINDS = ("soap_fault", "response_code", "drop", "truncate", "twice", "aadsts")


def _read(document: Any, fields: Mapping[str, Check], where: str) -> dict[str, Any]:
    if not isinstance(document, Mapping):
        raise InputError(
            "must be a JSON object", subject=where.strip(" .") or "rule", fix="See docs/sandbox.md for examples."
        )
    unknown = sorted(set(document) - set(fields))
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(fields), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Use one of: {', '.join(fields)}."
        raise InputError("is not known", subject=f"rule, {where}{unknown[0]}", fix=hint)
    read = {}
    for name, value in document.items():
        try:
            read[name] = fields[name](value)
        except ValueError as problem:
            raise _refuse(where + name, value, str(problem), "See docs/sandbox.md for examples.") from None
    return read


def read_fault(document: Any) -> Fault:
    """Reads what goes wrong from its JSON form. Raises InputError that names the field, the reason and the mend."""
    values = _read(document, _FAULT_FIELDS, "fault.")
    kinds = [kind for kind in _KINDS if values.get(kind)]
    if "status" in values or "body" in values:
        kinds.insert(0, "status" if "status" in values else "body")
    if len(kinds) > 1:
        raise InputError(
            f"{kinds[0]} and {kinds[1]} cannot both happen to one request",
            subject="rule, fault",
            fix="Add two rules, or keep one of the two.",
        )
    if not kinds and not values.get("delay_seconds") and not values.get("late_seconds"):
        raise InputError(
            "says nothing that goes wrong",
            subject="rule, fault",
            fix=f"Give one of: status, body, {', '.join(_KINDS)}, delay_seconds, late_seconds.",
        )
    for companion, needed in _COMPANIONS.items():
        if companion in values and not any(name in values for name in needed):
            raise InputError(
                "means nothing alone",
                subject=f"rule, fault.{companion}",
                fix=f"Add {' or '.join(needed)}, or leave it out.",
            )
    if values.get("late_seconds") and values.get("drop") == "before":
        raise InputError(
            "an answer that is never sent cannot be late", subject="rule, fault.late_seconds", fix="Use delay_seconds."
        )
    return Fault(**values)


def read_rule(document: Any, rule_id: str) -> Rule:
    """Reads a rule from its JSON form. Raises InputError that names the field, the reason and the mend."""
    values = _read(document, {**_RULE_FIELDS, "fault": read_fault}, "")
    if "fault" not in values:
        raise InputError("is missing", subject="rule, fault", fix='Say what goes wrong, as {"fault": {"status": 503}}.')
    if "seed" in values and "probability" not in values:
        raise InputError("means nothing alone", subject="rule, seed", fix="Add probability, or leave it out.")
    operation = values.get("operation", "*")
    fault: Fault = values["fault"]
    if fault.aadsts and operation not in _ENTRA | {"*"}:
        raise InputError(
            "only Entra refuses with an AADSTS code",
            subject="rule, fault.aadsts",
            fix=f"Name the operation: {', '.join(sorted(_ENTRA))}.",
        )
    if operation in _ENTRA and not set(document["fault"]) <= _ENTRA_FIELDS:
        raise InputError(
            f"{operation} is a request to Entra, not to EWS",
            subject="rule, fault",
            fix=f"Use only {', '.join(sorted(_ENTRA_FIELDS))}.",
        )
    return Rule(
        id=rule_id,
        document=dict(document),
        operation=operation,
        mailbox=values.get("mailbox", "*"),
        nth=values.get("nth", ()),
        every=values.get("every"),
        after=values.get("after", 0),
        times=values.get("times"),
        probability=values.get("probability"),
        seed=values.get("seed", 0),
        fault=fault,
    )


@dataclass
class _Standing:
    """A rule with what has become of it."""

    rule: Rule
    matched: int
    hits: int
    dice: random.Random


class Faults:
    """The rules in force. Every matching rule counts a request; the first that hits it decides what goes wrong."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._standing: list[_Standing] = []
        self._ids = itertools.count(1)

    def __bool__(self) -> bool:
        return bool(self._standing)

    def add(self, document: Any) -> Rule:
        """Puts a rule, in its JSON form, into force. Raises InputError for one that cannot be."""
        with self._lock:
            rule = read_rule(document, f"rule-{next(self._ids)}")
            dice = random.Random(rule.seed)  # noqa: S311  repeatable on purpose
            self._standing.append(_Standing(rule, 0, 0, dice))
            return rule

    def remove(self, rule_id: str) -> bool:
        """Takes one rule out of force; says whether it was there."""
        with self._lock:
            kept = [standing for standing in self._standing if standing.rule.id != rule_id]
            found = len(kept) < len(self._standing)
            self._standing = kept
            return found

    def clear(self) -> int:
        """Takes every rule out of force; says how many there were."""
        with self._lock:
            count = len(self._standing)
            self._standing = []
            return count

    def rows(self) -> list[dict[str, Any]]:
        """Lists the rules in force with how many requests they matched and hit."""
        with self._lock:
            return [
                {"id": one.rule.id, "matched": one.matched, "hits": one.hits, "rule": dict(one.rule.document)}
                for one in self._standing
            ]

    def decide(self, operation: str, mailbox: str) -> Fault | None:
        """Says what goes wrong with this request, if anything does."""
        if not self._standing:
            return None
        decided: Fault | None = None
        with self._lock:
            for standing in self._standing:
                rule = standing.rule
                if rule.operation not in ("*", operation) or rule.mailbox not in ("*", mailbox.lower()):
                    continue
                if rule.fault.aadsts and operation not in _ENTRA:
                    continue
                standing.matched += 1
                if decided is None and _hits(standing):
                    standing.hits += 1
                    decided = rule.fault
        return decided


def _hits(standing: _Standing) -> bool:
    rule = standing.rule
    number = standing.matched - rule.after
    # The dice are thrown for every counted request, so that a run can be repeated whatever the other conditions say.
    lucky = rule.probability is None or (number > 0 and standing.dice.random() < rule.probability)
    return (
        number > 0
        and lucky
        and (rule.times is None or standing.hits < rule.times)
        and (not rule.nth or number in rule.nth)
        and (rule.every is None or number % rule.every == 0)
    )
