"""Requests against the schema: what Exchange refuses with ErrorSchemaValidation is refused here, with its words.

The schema itself is not part of the product: ``grammar_rules`` holds the part of it that requests use.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from lxml import etree

from .codecs import read_boolean, read_instant
from .envelope import SoapRequest
from .errors import SoapFault, schema_violation
from .grammar_rules import ENUMERATIONS, LISTS, RULES, UNKNOWN_ITEM_ELEMENTS
from .properties import ENUMERATIONS as ITEM_ENUMERATIONS
from .properties import FOLDER_CLASSES, ITEM_CLASSES, Property, is_field_uri
from .xml import MESSAGES, TYPES, M, T

_XSD = "http://www.w3.org/2001/XMLSchema"
_GUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TAG = re.compile(r"0[xX][0-9A-Fa-f]{1,4}|[0-9]{1,5}", re.ASCII)
_DATE = re.compile(r"\s*\d{4}-\d\d-\d\d(?:Z|[+-]\d\d:\d\d)?\s*", re.ASCII)
_INT = re.compile(r"\s*[+-]?\d{1,10}\s*", re.ASCII)
_BITMASK = re.compile(r"0[xX][0-9A-Fa-f]{1,8}|\d{1,10}", re.ASCII)


def _is_int(text: str) -> bool:
    return bool(_INT.fullmatch(text)) and -(2**31) <= int(text) < 2**31


def _read_date(text: str) -> None:
    if not _DATE.fullmatch(text):
        raise ValueError(text)
    date.fromisoformat(text.strip()[:10])


def _reads(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return check


def _one_of(values: frozenset[str]) -> Callable[[str], bool]:
    return lambda text: text in values


def _all_of(values: frozenset[str]) -> Callable[[str], bool]:
    return lambda text: all(one in values for one in text.split())


#: whether a text is of a type
_TYPES: dict[str, Callable[[str], bool]] = {
    "string": lambda text: True,
    "NonEmptyString": lambda text: bool(text),
    "boolean": _reads(read_boolean),
    "int": _is_int,
    "double": _reads(float),
    "dateTime": _reads(read_instant),
    "date": _reads(_read_date),
    "GuidType": lambda text: bool(_GUID.fullmatch(text)),
    "PropertyTagType": lambda text: bool(_TAG.fullmatch(text)),
    "Bitmask": lambda text: bool(_BITMASK.fullmatch(text)),
    "UnindexedFieldURIType": is_field_uri,
    "MaxSyncChangesReturnedType": lambda text: _is_int(text) and 1 <= int(text) <= 512,
    "SubscriptionTimeoutType": lambda text: _is_int(text) and 1 <= int(text) <= 1440,
    "StreamingSubscriptionConnectionTimeoutType": lambda text: _is_int(text) and 1 <= int(text) <= 30,
    **{name: _one_of(values) for name, values in ENUMERATIONS.items()},
    **{name: _all_of(values) for name, values in LISTS.items()},
    **{schema: _one_of(values) for schema, values in ITEM_ENUMERATIONS.values()},
}
_FACETS = {"NonEmptyString": "MinLength", "GuidType": "Pattern", "PropertyTagType": "Pattern", "Bitmask": "Pattern"}
#: the type of an item's plain property in the schema's words
_KINDS = {
    "string": "string",
    "boolean": "boolean",
    "int": "int",
    "double": "double",
    "dateTime": "dateTime",
    "date": "dateTime",
}
_KINDS |= {name: schema for name, (schema, _) in ITEM_ENUMERATIONS.items()}


@dataclass(frozen=True, slots=True)
class Particle:
    """One place among an element's children: which elements may stand there, how many of them."""

    names: frozenset[str]
    least: int
    most: float


@dataclass(slots=True)
class Rule:
    """What an element may look like. ``text`` is the type of its text where it has no children."""

    attributes: dict[str, tuple[str, bool]] = field(default_factory=dict)
    particles: tuple[Particle, ...] | None = None
    text: str = ""


def _tag(name: str) -> str:
    return f"{M}{name[2:]}" if name.startswith("m:") else f"{T}{name}"


def _particle(source: str) -> Particle:
    least, most = {"?": (0, 1), "*": (0, float("inf")), "+": (1, float("inf"))}.get(source[-1], (1, 1))
    names = source.rstrip("?*+").strip("()").split("|")
    return Particle(frozenset(_tag(name) for name in names), int(least), most)


def _read_rules(source: str) -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for line in source.strip().splitlines():
        words = line.split()
        rule = Rule()
        place = 1
        while words[place].startswith("@"):
            name, _, kind = words[place][1:].partition(":")
            rule.attributes[name] = (kind.rstrip("!"), kind.endswith("!"))
            place += 1
        if words[place] == "=":
            rule.text = words[place + 1]
        else:
            rule.particles = tuple(_particle(one) for one in words[place + 1 :])
        rules["/".join(_tag(name) for name in words[0].split("/"))] = rule
    return rules


def _class_rule(rows: tuple[Property, ...]) -> Rule:
    after: dict[str, list[str]] = {}
    for line in UNKNOWN_ITEM_ELEMENTS.strip().splitlines():
        first, *rest = line.split()
        after[first] = rest
    particles = []
    for row in rows:
        most = float("inf") if row.element == "ExtendedProperty" else 1
        particles.append(Particle(frozenset({f"{T}{row.element}"}), 0, most))
        particles += [Particle(frozenset({f"{T}{name}"}), 0, 1) for name in after.get(row.element, ())]
    return Rule(particles=tuple(particles))


def _item_rules() -> dict[str, Rule]:
    rules: dict[str, Rule] = {}
    for name, rows in (ITEM_CLASSES | FOLDER_CLASSES).items():
        rules[f"{T}{name}"] = _class_rule(rows)
        for row in rows:
            if row.kind in _KINDS and not (name == "Task" and row.kind == "recurrence"):
                rules[f"{T}{name}/{T}{row.element}"] = Rule(text=_KINDS[row.kind])
    searching = rules[f"{T}SearchFolder"]
    searching.particles = (*(searching.particles or ()), Particle(frozenset({f"{T}SearchParameters"}), 0, 1))
    return rules


_RULES = _item_rules() | _read_rules(RULES)
_NO_PARTICLES: tuple[Particle, ...] = ()


def check(request: SoapRequest) -> None:
    """Check a request.

    Raises:
        SoapFault: it breaks the schema; the fault says where and how, as Exchange does.
    """
    _check(request.root, _RULES[request.root.tag], request)


def _violation(text: str, element: Any, request: SoapRequest) -> SoapFault:
    line, column = _position(element, request)
    return schema_violation(text, line, column)


def _position(element: Any, request: SoapRequest) -> tuple[int, int]:
    """Line and column at which the element's name stands in the request, counted from 1."""
    name = etree.QName(element).localname
    same = [one for one in element.getroottree().iter() if etree.QName(one).localname == name]
    starts = re.finditer(rb"<(?:[\w.-]+:)?" + re.escape(name.encode()) + rb"(?=[\s/>])", request.body)
    for place, found in enumerate(starts):
        if place < len(same) and same[place] is element:
            before = request.body[: found.start() + 1]
            return before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return element.sourceline or 0, 0


def _type_name(kind: str) -> str:
    base = {"NonEmptyString": f"{TYPES}:NonEmptyStringType", "Bitmask": f"{TYPES}:ExcludesValueType"}
    plain = kind in ("string", "boolean", "int", "double", "dateTime", "date")
    return base.get(kind) or (f"{_XSD}:{kind}" if plain else f"{TYPES}:{kind}")


def _reason(kind: str, text: str) -> str:
    if kind in ("boolean", "int", "double", "dateTime", "date"):
        return f"The string '{text}' is not a valid {kind[0].upper()}{kind[1:]} value."
    return f"The {_FACETS.get(kind, 'Enumeration')} constraint failed."


def _check(element: Any, rule: Rule, request: SoapRequest) -> None:
    if rule.attributes or element.attrib:
        _check_attributes(element, rule, request)
    if rule.particles is None:
        text = element.text or ""
        if not _TYPES[rule.text](text.strip() if rule.text != "string" else text):
            raise _violation(
                f"The '{_full_name(element)}' element is invalid - The value '{text}' is invalid according to its datatype "
                f"'{_type_name(rule.text)}' - {_reason(rule.text, text)}",
                element,
                request,
            )
        if len(element):
            raise _violation(_invalid_child(element, element[0], ()), element[0], request)
        return
    _check_children(element, rule.particles, request)
    for child in element:
        found = _RULES.get(f"{element.tag}/{child.tag}") or _RULES.get(child.tag)
        if found is not None:
            _check(child, found, request)


def _check_attributes(element: Any, rule: Rule, request: SoapRequest) -> None:
    given = element.attrib
    for name, text in given.items():
        if name.startswith("{"):  # xsi:type, xml:lang: any element may have them
            continue
        known = rule.attributes.get(name)
        if known is None:
            raise _violation(f"The '{name}' attribute is not declared.", element, request)
        if not _TYPES[known[0]](text):
            raise _violation(
                f"The '{name}' attribute is invalid - The value '{text}' is invalid according to its datatype "
                f"'{_type_name(known[0])}' - {_reason(known[0], text)}",
                element,
                request,
            )
    for name, (_, required) in rule.attributes.items():
        if required and name not in given:
            raise _violation(f"The required attribute '{name}' is missing.", element, request)


def _check_children(element: Any, particles: tuple[Particle, ...], request: SoapRequest) -> None:
    place, count = 0, 0
    for child in element:
        tag = child.tag
        while place < len(particles):
            particle = particles[place]
            if tag in particle.names and count < particle.most:
                count += 1
                break
            if count < particle.least:
                raise _violation(_invalid_child(element, child, particles[place:]), child, request)
            place, count = place + 1, 0
        else:
            raise _violation(_invalid_child(element, child, _NO_PARTICLES), child, request)
    while place < len(particles):
        if count < particles[place].least:
            raise _violation(
                f"The element {_named(element.tag)} has incomplete content.{_expected(particles[place:])}",
                element,
                request,
            )
        place, count = place + 1, 0
    if element.text and element.text.strip():
        raise _violation(
            f"The element {_named(element.tag)} cannot contain text.{_expected(particles)}", element, request
        )


def _full_name(element: Any) -> str:
    name = etree.QName(element)
    return f"{name.namespace}:{name.localname}"


def _named(tag: str) -> str:
    name = etree.QName(tag)
    return f"'{name.localname}' in namespace '{name.namespace}'"


def _invalid_child(element: Any, child: Any, particles: tuple[Particle, ...]) -> str:
    return f"The element {_named(element.tag)} has invalid child element {_named(child.tag)}.{_expected(particles)}"


def _expected(particles: tuple[Particle, ...]) -> str:
    """The elements that could stand there: up to and with the first one that must."""
    names: list[str] = []
    for particle in particles:
        names += sorted(etree.QName(name).localname for name in particle.names)
        if particle.least:
            break
    if not names:
        return ""
    space = MESSAGES if particles[0].names and next(iter(particles[0].names)).startswith(M) else TYPES
    return f" List of possible elements expected: '{', '.join(names)}' in namespace '{space}'."
