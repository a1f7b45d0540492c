"""Templates: what pre-fills subject and body, with fields of the individual, the user and the community.

Jinja2 in its sandbox, with less in it: no calls, no loops, no other files, and no way to make much of little; what a template may use is listed
here. A field that is not there, or is empty, is an error that names it and where it stands, never a hole in a letter. In formatted templates every field is escaped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateRuntimeError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from ops_lib.errors import InputError
from ops_lib.model import Community, Individual, Template, User

FIELDS: Mapping[str, tuple[str, ...]] = {
    "individual": ("name", "first_name", "email", "kind"),
    "user": ("name", "first_name", "email"),
    "community": ("name",),
}
"""What a template may say; `{{ individual.first_name }}`."""

LONGEST_TEMPLATE = 256_000
LONGEST_RESULT = 4_000_000
"""Characters; so long may be what a template becomes, and all that its expressions make on the way together."""

_FILTERS = (
    "capitalize", "d", "default", "e", "escape", "first", "last", "length", "lower", "title", "trim", "truncate", "upper",
)  # fmt: skip
_JOIN = "~"
_TESTS = ("defined", "undefined", "eq", "ne", "equalto", "in", "sameas", "string", "lower", "upper", "none")
_NOT_ALLOWED = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extend",
    nodes.Macro: "define macros",
    nodes.CallBlock: "call anything",
    nodes.Call: "call anything",
    nodes.For: "loop: each field is one text",
    nodes.AssignBlock: "keep a piece of itself: {% set NAME = … %} keeps a value",
    nodes.FilterBlock: "filter a piece of itself: {{ … | upper }} filters a value",
    nodes.EvalContextModifier: "turn escaping off or on",
    nodes.ScopedEvalContextModifier: "turn escaping off or on",
    nodes.Slice: "cut by position: truncate and first do that",
    nodes.Dict: "hold tables",
}


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its fields filled in."""

    subject: str
    body: str
    is_html: bool


class _Record:
    """The fields of one thing; what is empty is not there."""

    def __init__(self, label: str, whose: str, values: Mapping[str, str]) -> None:
        self._label, self._whose = label, whose
        for name, value in values.items():
            if value.strip():
                setattr(self, name, value)

    def __str__(self) -> str:
        fields = ", ".join(f"{self._label}.{each}" for each in FIELDS[self._label])
        raise TemplateRuntimeError(f"{self._label} alone says nothing; name one of {fields}")


class _Missing(StrictUndefined):
    """Names the field as the template does, and says what there is."""

    @property
    def _undefined_message(self) -> str:
        owner, name = self._undefined_obj, self._undefined_name
        if self._undefined_hint:
            return self._undefined_hint
        if isinstance(owner, _Record):
            if name in FIELDS[owner._label]:
                return f"the field {owner._label}.{name} is empty{owner._whose}"
            known = ", ".join(f"{owner._label}.{each}" for each in FIELDS[owner._label])
            return f"there is no field {owner._label}.{name} (there are {known})"
        if name == "community":
            return "there is no community to name: the individual belongs to none, and the user to none or several"
        return f"there is nothing called {name} (there are {', '.join(FIELDS)})"


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja2 with what letters need. Multiplying and formatting can make gigabytes of a few letters, so they are not among it; what joins is counted."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self, *, is_html: bool) -> None:
        super().__init__(undefined=_Missing, autoescape=is_html, keep_trailing_newline=True)
        self.globals.clear()
        usual = self.filters
        self.filters = {name: self._counted(usual[name]) for name in _FILTERS} | {_JOIN: self._joined(usual["join"])}
        self.tests = {name: self.tests[name] for name in _TESTS}
        self._made = 0

    def _generate(self, source: nodes.Template, *arguments: Any, **options: Any) -> str:
        """Joining (`~`) goes through a filter, which is counted."""
        return super()._generate(_Joining().visit(source), *arguments, **options)

    def _count(self, length: int) -> None:
        self._made += length
        if self._made > LONGEST_RESULT:
            raise SecurityError(f"it becomes longer than {LONGEST_RESULT:,} characters on the way")

    def _counted(self, filter_: Callable[..., Any]) -> Callable[..., Any]:
        """A filter whose results are counted. None of those listed makes more than a few times what it is given."""

        @wraps(filter_)  # with Jinja2's mark of what it wants to be given first
        def counted(*arguments: Any, **named: Any) -> Any:
            made = filter_(*arguments, **named)
            self._count(len(made) if isinstance(made, str) else 0)
            return made

        return counted

    def _joined(self, join: Callable[..., Any]) -> Callable[..., Any]:
        """What joins is counted before it is made: a thousand times the same text costs nothing until then."""

        @wraps(join)
        def joined(context: Any, parts: Sequence[Any]) -> Any:
            self._count(sum(len(each) for each in parts if isinstance(each, str)))
            return join(context, parts)

        return joined

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return isinstance(obj, _Record) and not attr.startswith("_")

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        return self.undefined(f"a template may not use .{attribute} here", exc=SecurityError)

    def wrap_str_format(self, value: Any) -> None:
        """No way to formatting: it is an attribute like any other of a text."""

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator != "+":
            raise SecurityError(f"a template may not use {operator}")
        if not all(isinstance(each, str | int | float | _Missing) for each in (left, right)):
            raise SecurityError("a template may not add lists")
        made = left + right
        self._count(len(made) if isinstance(made, str) else 0)
        return made


class _Joining(NodeTransformer):
    """Joining as a filter."""

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  Jinja2's name
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno)
        return nodes.Filter(parts, _JOIN, [], [], None, None, lineno=node.lineno, environment=node.environment)


def check(template: Template) -> None:
    """Refuse a template that could never be filled in: its form, and fields that do not exist. **Raises** `InputError` with part and line."""
    for part, source, is_html in _parts(template):
        tree = _parsed(_Environment(is_html=is_html), source, template.name, part)
        for node in tree.find_all(nodes.Getattr):
            owner = node.node
            if isinstance(owner, nodes.Name) and owner.name in FIELDS and node.attr not in FIELDS[owner.name]:
                known = ", ".join(f"{owner.name}.{each}" for each in FIELDS[owner.name])
                raise _error(
                    template.name,
                    part,
                    node.lineno,
                    f"there is no field {owner.name}.{node.attr}",
                    f"use one of {known}.",
                )
        _refuse_unknown_names(tree, template.name, part)


def fill(template: Template, individual: Individual, user: User, community: Community | None) -> Filled:
    """Subject and body for one individual. **Raises** `InputError` with template, part and line."""
    fields: dict[str, Any] = {
        "individual": _Record(
            "individual",
            f" for {individual.name}",
            {
                "name": individual.name,
                "first_name": _first_name(individual.name),
                "email": individual.email,
                "kind": individual.kind,
            },
        ),
        "user": _Record(
            "user",
            f" for {user.email}",
            {"name": user.name, "first_name": _first_name(user.name), "email": user.email},
        ),
    }
    if community is not None:
        fields["community"] = _Record("community", "", {"name": community.name})
    done = {part: _render(template.name, part, source, fields, is_html) for part, source, is_html in _parts(template)}
    return Filled(done["subject"], done["body"], template.is_html)


def _parts(template: Template) -> tuple[tuple[str, str, bool], ...]:
    return (("subject", template.subject, False), ("body", template.body, template.is_html))


def _render(name: str, part: str, source: str, fields: Mapping[str, Any], is_html: bool) -> str:
    environment = _Environment(is_html=is_html)
    tree = _parsed(environment, source, name, part)
    pieces: list[str] = []
    length = 0
    try:
        for piece in environment.from_string(tree).generate(dict(fields)):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST_RESULT:
                raise _error(name, part, 0, f"it becomes longer than {LONGEST_RESULT:,} characters", "shorten it.")
    except UndefinedError as error:
        fix = "fill in that field in the CRM, correct the template, or give it a default: {{ … | default('…') }}."
        raise _error(name, part, _line_of(error), str(error.message), fix) from None
    except (SecurityError, TemplateError) as error:
        raise _error(name, part, _line_of(error), _words(error), "correct it.") from None
    except (
        TypeError,
        ValueError,
        ArithmeticError,
        LookupError,
        RecursionError,
        AttributeError,
        AssertionError,
    ) as error:
        raise _error(name, part, _line_of(error), f"it cannot be filled in: {_words(error)}", "correct it.") from None
    return "".join(pieces)


def _parsed(environment: _Environment, source: str, name: str, part: str) -> nodes.Template:
    if len(source) > LONGEST_TEMPLATE:
        raise _error(name, part, 0, f"it has more than {LONGEST_TEMPLATE:,} characters", "shorten it.")
    try:
        tree = environment.parse(source)
        environment.compile(tree)  # an unknown filter shows itself here
        tree = environment.parse(source)  # compiling has changed the first one
    except TemplateSyntaxError as error:
        raise _error(name, part, error.lineno, _words(error), "correct it.") from None
    except TemplateError as error:
        raise _error(name, part, 0, _words(error), "correct it.") from None
    except (RecursionError, SyntaxError, MemoryError):  # what Python says of a template that it cannot translate
        raise _error(name, part, 0, "it is nested too deeply", "correct it.") from None
    for node in tree.find_all(tuple(_NOT_ALLOWED)):
        raise _error(name, part, node.lineno, f"a template may not {_NOT_ALLOWED[type(node)]}", "leave it out.")
    for many in tree.find_all((nodes.List, nodes.Tuple)):
        if not all(isinstance(each, nodes.Const) for each in many.iter_child_nodes()):
            reason = "a list in a template holds fixed values only"
            raise _error(name, part, many.lineno, reason, "name the field alone.")
    return tree


def _refuse_unknown_names(tree: nodes.Template, name: str, part: str) -> None:
    stored = {each.name for each in tree.find_all(nodes.Name) if each.ctx != "load"}
    for each in tree.find_all(nodes.Name):
        if each.ctx == "load" and each.name not in FIELDS and each.name not in stored and each.name != "loop":
            known = ", ".join(f"{owner}.{field}" for owner, fields in FIELDS.items() for field in fields)
            raise _error(name, part, each.lineno, f"there is nothing called {each.name}", f"use one of {known}.")


def _line_of(error: BaseException) -> int:
    """The template's line: Jinja2 puts it into the frames of what was raised."""
    line, traceback = 0, error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == "<template>":
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _first_name(name: str) -> str:
    return name.split()[0] if name.split() else ""


def _error(name: str, part: str, line: int, reason: str, fix: str) -> InputError:
    where = f", line {line}" if line else ""
    return InputError(reason, subject=f"template {name}, {part}{where}", fix=fix)
