"""A small interpreter of just the PowerShell that the scripts are written in, over a parser of the whole language.

What it does not know is an error: a script that uses anything else fails its test instead of passing unread.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

_PARSER = Parser(Language(tree_sitter_powershell.language()))
_QUOTES = "'\u2018\u2019\u201a\u201b"
Cmdlet = Callable[[dict[str, Any]], list[Any]]


class CmdletError(Exception):
    """What a cmdlet refuses, or a script throws."""


class _Return(Exception):
    def __init__(self, values: list[Any]) -> None:
        super().__init__()
        self.values = values


class Record(dict[str, Any]):
    """An object with properties, whose names have no case."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__({key.lower(): value for key, value in values.items()})
        self.shown = {key.lower(): key for key in values}

    def __missing__(self, key: str) -> Any:
        return None


@dataclass
class Block:
    """A script block or function: what runs, and its parameters' names."""

    body: Node
    names: list[str] = field(default_factory=list)


def parse(script: str) -> Node:
    """The script's tree. **Raises** `AssertionError` naming the first place that is no PowerShell."""
    tree = _PARSER.parse(script.encode())

    def wrong(node: Node) -> Node | None:
        if node.type == "ERROR" or node.is_missing:
            return node
        return next((found for child in node.children if (found := wrong(child))), None)

    found = wrong(tree.root_node) if tree.root_node.has_error else None
    assert found is None, f"line {found.start_point.row + 1}: no PowerShell: {found.text!r}"
    return tree.root_node


def commands(script: str) -> set[str]:
    """The names of all commands that the script could run."""
    found: set[str] = set()

    def walk(node: Node) -> None:
        if node.type == "command_name":
            found.add(node.text.decode())
        for child in node.children:
            walk(child)

    walk(parse(script))
    return found


class Shell:
    """Runs a script against cmdlets. ``files`` is its disk, ``warnings`` what it warned of, ``said`` what it printed.

    Exchange's cmdlets live in a module: whether an error of theirs ends anything is asked of the ``session``, not of the script. One
    that ends nothing is in ``errors``.
    """

    def __init__(
        self, cmdlets: Mapping[str, Cmdlet], files: dict[str, str] | None = None, answers: list[str] | None = None
    ) -> None:
        self.cmdlets = {name.lower(): run for name, run in cmdlets.items()}
        self.files = {} if files is None else files
        self.answers = answers or []
        self.warnings: list[str] = []
        self.errors: list[str] = []
        self.session: dict[str, Any] = {"erroractionpreference": "Continue"}
        self.said: list[str] = []

    def run(self, script: str) -> None:
        """Runs the script to its end. **Raises** `CmdletError` where nothing in the script catches one."""
        self.scopes: list[dict[str, Any]] = [{}]
        self.functions: dict[str, Block] = {}
        try:
            self.said += [str(each) for each in self._block(parse(script)) if each is not None]
        except _Return:
            return

    # ── statements ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _block(self, node: Node) -> list[Any]:
        out: list[Any] = []
        for child in node.named_children:
            out += self._statement(child)
        return out

    def _statement(self, node: Node) -> list[Any]:
        kind = node.type
        if kind in {"comment", "empty_statement"}:
            return []
        if kind in {"statement_list", "statement_block", "script_block", "script_block_body", "program"}:
            return self._block(node)
        if kind == "function_statement":
            names = [p.named_children[-1].text.decode()[1:].lower() for p in _all(node, "script_parameter")]
            body = next(child for child in node.named_children if child.type == "script_block")
            self.functions[_one(node, "function_name").text.decode().lower()] = Block(body, names)
            return []
        if kind == "if_statement":
            return self._if(node)
        if kind == "foreach_statement":
            variable, items, body = node.named_children[-3:]
            out: list[Any] = []
            for each in _listed(self._value(items)):
                self._set(variable.text.decode(), each)
                out += self._statement(body)
            return out
        if kind == "try_statement":
            return self._try(node)
        if kind == "flow_control_statement":
            values = [self._value(child) for child in node.named_children]
            if node.children[0].text == b"throw":
                raise CmdletError(str(values[0]))
            raise _Return([each for value in values for each in _listed(value)])
        if kind == "pipeline":
            if len(node.named_children) == 1 and node.named_children[0].type == "assignment_expression":
                self._assign(node.named_children[0])
                return []
            return _listed(self._value(node.named_children[0]))
        return _listed(self._value(node))

    def _if(self, node: Node) -> list[Any]:
        condition, body, *others = node.named_children
        if _true(self._value(condition)):
            return self._statement(body)
        for other in others:
            if other.type == "else_clause":
                return self._statement(other.named_children[0])
            for clause in other.named_children:
                if _true(self._value(clause.named_children[0])):
                    return self._statement(clause.named_children[1])
        return []

    def _try(self, node: Node) -> list[Any]:
        body, *clauses = node.named_children
        catches = [each for each in clauses if each.type == "catch_clauses"]
        finals = [each for each in clauses if each.type == "finally_clause"]
        try:
            return self._caught(body, catches[0]) if catches else self._statement(body)
        finally:
            for clause in finals:
                self._statement(clause.named_children[-1])

    def _caught(self, body: Node, catches: Node) -> list[Any]:
        try:
            return self._statement(body)
        except CmdletError as error:
            self.scopes[-1]["_"] = Record({"FullyQualifiedErrorId": type(error).__name__, "": str(error)})
            return self._statement(catches.named_children[0].named_children[-1])

    def _assign(self, node: Node) -> None:
        left, operator, value = node.named_children
        name = left.text.decode()
        result = self._value(value)
        if operator.text == b"+=":
            result = self._get(name) + result
        self._set(name, result)

    def _set(self, name: str, value: Any) -> None:
        name = name[1:].lower()
        if name.startswith("global:"):
            self.session[name.removeprefix("global:")] = value
        elif name.startswith("script:"):
            self.scopes[0][name.removeprefix("script:")] = value
        else:
            self.scopes[-1][name] = value

    def _get(self, name: str) -> Any:
        name = name[1:].lower().removeprefix("script:")
        if name.startswith("global:"):
            return self.session[name.removeprefix("global:")]
        constants = {"null": None, "true": True, "false": False}
        if name in constants:
            return constants[name]
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        raise AssertionError(f"${name} was never set")

    # ── expressions ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _value(self, node: Node) -> Any:
        kind = node.type
        maker = getattr(self, f"_of_{kind}", None)
        if maker:
            return maker(node)
        if len(node.named_children) == 1:
            return self._value(node.named_children[0])
        if kind in {"additive_expression", "comparison_expression", "logical_expression"}:
            return self._binary(node)
        if kind == "array_literal_expression":
            return [self._value(child) for child in node.named_children]
        raise AssertionError(f"line {node.start_point.row + 1}: {kind} is not known to this interpreter: {node.text!r}")

    def _of_variable(self, node: Node) -> Any:
        return self._get(node.text.decode())

    def _of_string_literal(self, node: Node) -> str:
        text = node.text.decode()
        if node.named_children[0].type == "verbatim_string_characters":
            return re.sub(f"([{_QUOTES}])[{_QUOTES}]", r"\1", text[1:-1])
        assert not set("$`") & set(text), f"{text}: nothing may be replaced inside a text"
        return text[1:-1]

    def _of_decimal_integer_literal(self, node: Node) -> int:
        return int(node.text)

    def _of_generic_token(self, node: Node) -> str:
        return node.text.decode()

    def _of_array_expression(self, node: Node) -> list[Any]:
        return self._block(node)

    def _of_parenthesized_expression(self, node: Node) -> Any:
        return self._value(node.named_children[0])

    def _of_script_block_expression(self, node: Node) -> Block:
        body = [child for child in node.named_children if child.type == "script_block"]
        return Block(body[0])

    def _of_hash_literal_expression(self, node: Node) -> Record:
        entries = {}
        for entry in _all(node, "hash_entry"):
            key = entry.named_children[0].text.decode()
            entries[key] = self._value(entry.named_children[-1])
        return Record(entries)

    def _of_cast_expression(self, node: Node) -> Any:
        kind, value = node.named_children[0].text.decode().lower(), self._value(node.named_children[1])
        if kind == "[char]":
            return chr(value)
        if kind == "[string]":
            return _text(value)
        assert kind in {"[pscustomobject]", "[void]"}, kind
        return None if kind == "[void]" else value

    def _of_expression_with_unary_operator(self, node: Node) -> Any:
        if node.children[0].type == "cast_expression":
            return self._value(node.children[0])
        assert node.children[0].text.lower() == b"-not", node.text
        return not _true(self._value(node.named_children[-1]))

    def _of_member_access(self, node: Node) -> Any:
        of = self._value(node.named_children[0])
        name = node.named_children[1].text.decode().lower()
        if isinstance(of, list):
            if name == "count":
                return len(of)
            of = of[0] if of else None
        return None if of is None else of[name]

    def _of_invokation_expression(self, node: Node) -> Any:
        target, name, arguments = node.named_children
        values = [self._value(each) for each in _all(arguments, "argument_expression")]
        called = name.text.decode().lower()
        if target.type == "type_literal":
            assert (target.text.decode().lower(), called) == ("[array]", "reverse")
            values[0].reverse()
            return None
        of = self._value(target)
        if called == "replace":
            return of.replace(*values)
        assert called == "add", called
        return of.append(values[0])

    def _binary(self, node: Node) -> Any:
        operator = node.children[1].text.decode().lower()
        left = self._value(node.children[0])
        if operator == "-and":
            return _true(left) and _true(self._value(node.children[2]))
        right = self._value(node.children[2])
        if operator == "+":
            return Record({**left, **right}) if isinstance(left, Record) else left + right
        if operator == "-join":
            return right.join(_text(each) for each in _listed(left))
        if operator == "-split":
            return left.split(right)
        if operator == "-contains":
            return any(_same(each, right) for each in _listed(left))
        if operator == "-like":
            pattern = re.escape(right).replace(r"\*", ".*")
            hits = [each for each in _listed(left) if re.fullmatch(pattern, _text(each), re.IGNORECASE)]
            return hits if isinstance(left, list) else bool(hits)
        if operator in {"-eq", "-ne"}:
            return _same(left, right) is (operator == "-eq")
        assert operator == "-gt", operator
        return left > right

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _of_pipeline_chain(self, node: Node) -> Any:
        first, *rest = node.named_children
        if not rest:
            return self._value(first)
        items = _listed(self._value(first))
        for command in rest:
            items = self._command(command, items)
        return items[0] if len(items) == 1 else items or None

    def _of_command(self, node: Node) -> Any:
        items = self._command(node, [])
        return items[0] if len(items) == 1 else items or None

    def _command(self, node: Node, fed: list[Any]) -> list[Any]:
        if node.children[0].type == "command_invokation_operator":
            return self._call(self._value(_one(node, "variable")), [])
        name = node.named_children[0].text.decode().lower()
        named, bare = self._arguments(node)
        if name in self.functions:
            return self._call(self.functions[name], bare)
        if name in {"where-object", "foreach-object"}:
            out = []
            for each in fed:
                self.scopes.append({"_": each})
                values = self._block(bare[0].body)
                self.scopes.pop()
                out += values if name == "foreach-object" else [each] if values and _true(values[-1]) else []
            return out
        plain = getattr(self, "_run_" + name.replace("-", "_"), None)
        if plain:
            return _listed(plain(named, bare, fed))
        assert name in self.cmdlets, f"line {node.start_point.row + 1}: {name} is no cmdlet of these scripts"
        quiet = str(named.pop("erroraction", "")).lower() == "silentlycontinue"
        assert not bare, f"{name}: arguments without a name: {bare}"
        try:
            return [Record(each) for each in self.cmdlets[name](named)]
        except CmdletError as error:
            if quiet:
                return []
            if self.session["erroractionpreference"] == "Stop":
                raise
            self.errors.append(str(error))
            return []

    def _arguments(self, node: Node) -> tuple[dict[str, Any], list[Any]]:
        named: dict[str, Any] = {}
        bare: list[Any] = []
        waiting = ""
        elements = next((child for child in node.named_children if child.type == "command_elements"), None)
        for child in elements.named_children if elements else []:
            if child.type == "command_argument_sep":
                continue
            if child.type == "command_parameter":
                waiting = child.text.decode()[1:].lower()
                named[waiting] = True
            elif waiting:
                named[waiting] = self._value(child)
                waiting = ""
            else:
                bare.append(self._value(child))
        return named, bare

    def _call(self, block: Block, values: list[Any]) -> list[Any]:
        self.scopes.append(dict(zip(block.names, values, strict=False)))
        try:
            return self._block(block.body)
        except _Return as returned:
            return returned.values
        finally:
            self.scopes.pop()

    def _run_write_warning(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> None:
        self.warnings.append(_text(bare[0]))

    def _run_write_output(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> None:
        self.said.append(_text(bare[0]))

    def _run_read_host(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> str:
        return self.answers.pop(0)

    def _run_out_null(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> None:
        return None

    def _run_select_object(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> list[Any]:
        return fed[: named["first"]]

    def _run_test_path(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> bool:
        return named["path"] in self.files

    def _run_move_item(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> None:
        self.files[named["destination"]] = self.files.pop(named["path"])

    def _run_export_csv(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> None:
        text = io.StringIO()
        before = self.files.get(named["path"], "")
        writer = csv.DictWriter(text, list(fed[0]), quoting=csv.QUOTE_ALL)
        if not before:
            writer.writeheader()
        writer.writerows(fed)
        self.files[named["path"]] = before + text.getvalue()

    def _run_import_csv(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> list[Record]:
        return [Record(row) for row in csv.DictReader(io.StringIO(self.files[named["path"]]))]

    def _run_new_object(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> list[Any]:
        assert bare == ["System.Collections.ArrayList"], bare
        return [_Growing()]

    def _run_convertto_json(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> str:
        return json.dumps(named["inputobject"], ensure_ascii=False)

    def _run_out_file(self, named: dict[str, Any], bare: list[Any], fed: list[Any]) -> None:
        self.files[named["filepath"]] = fed[0]


class _Growing(list[Any]):
    """.NET's ArrayList: one object, not taken apart where it is passed on."""


def _all(node: Node, kind: str) -> list[Node]:
    """The nearest nodes of a kind below this one, not those inside them."""
    out: list[Node] = []
    for child in node.children:
        out += [child] if child.type == kind else _all(child, kind)
    return out


def _one(node: Node, kind: str) -> Node:
    return _all(node, kind)[0]


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _true(value: Any) -> bool:
    return len(value) > 0 if isinstance(value, list) else bool(value)


def _text(value: Any) -> str:
    if isinstance(value, Record) and "" in value:
        return str(value[""])
    return "" if value is None else str(value)


def _same(left: Any, right: Any) -> bool:
    """PowerShell's -eq: the right side becomes the left's kind; texts have no case. Nothing equals only nothing."""
    if left is None or right is None:
        return left is None and right is None
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return _text(left).lower() == _text(right).lower()
