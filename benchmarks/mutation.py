"""Which small faults in the decisions would no test notice: mutates the modules that decide, one place at a time, and runs the tests that reach it.

Comparisons, boolean operators, constants, conditions, returns and statements are changed in the syntax tree, in memory: no file is written but
the results. Each mutant gets a process of its own (a fork of one that has loaded everything else) in which the tests that execute the mutated
statement run, the quickest first, until one fails. Needs a system that can fork.

    python benchmarks/mutation.py [--modules plan pair …] [--results FILE]       everything; goes on where an earlier run with FILE stopped
    python benchmarks/mutation.py --again FILE                                   only what survived in FILE, against the code and tests as they are now
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import io
import json
import os
import signal
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
MODULES = ("plan", "pair", "matching", "scope", "mapping", "body")
TESTS = ("tests/sync",)
LONGEST_SECONDS = 120
"""What takes longer than this has an endless loop in it, and counts as noticed."""

LOADED_BEFORE = ("alembic", "exchangelib", "sqlalchemy.dialects.sqlite.pysqlite", "ops_lib.database.migrations")
"""What is imported only when it is first used."""


# ── mutants ──────────────────────────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed place. ``key`` names it without line numbers, so that it is found again when the code around it has moved."""

    module: str
    key: str
    line: int
    statement: range
    function: range | None
    code: CodeType


_COMPARED_AS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_COMPUTED_AS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_OF_NO_CONSEQUENCE = frozenset({"slots", "kw_only", "frozen", "strict", "reason"})
"""Keyword arguments that say how a class is laid out, assert what holds anyway, or are words for people."""


def changed(node: ast.AST) -> Iterator[tuple[str, ast.AST | None]]:
    """What a node may be changed into, each with a name; None: it is left out."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            made = copy.deepcopy(node)
            made.ops[place] = _COMPARED_AS[type(operator)]()
            yield f"{type(operator).__name__} → {type(made.ops[place]).__name__}", made
    elif isinstance(node, ast.BoolOp):
        made = copy.deepcopy(node)
        made.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield f"{type(node.op).__name__} → {type(made.op).__name__}", made
        for place in range(len(node.values)):
            rest = [value for number, value in enumerate(node.values) if number != place]
            yield f"without operand {place + 1}", rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "without not", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED_AS:
        yield f"{type(node.op).__name__} changed", ast.BinOp(node.left, _COMPUTED_AS[type(node.op)](), node.right)
    elif isinstance(node, ast.IfExp):
        yield "always the first", node.body
        yield "always the second", node.orelse
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield f"{node.value} → {not node.value}", ast.Constant(not node.value)
        elif isinstance(node.value, int):
            yield f"{node.value} → {node.value + 1}", ast.Constant(node.value + 1)
        elif isinstance(node.value, str) and node.value and " " not in node.value:
            yield f"{node.value!r} changed", ast.Constant(f"{node.value}XX")
    elif isinstance(node, ast.comprehension) and node.ifs:
        yield "without its condition", ast.comprehension(node.target, node.iter, [], node.is_async)
    elif isinstance(node, (ast.If, ast.While)):
        yield "condition turned", _with_test(node, ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and node.value is not None and not isinstance(node.value, ast.Constant):
        yield "returns None", ast.Return(ast.Constant(None))
    elif isinstance(node, (ast.Expr, ast.AugAssign)):
        yield "left out", ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "continue → break", ast.Break()


def _with_test(node: ast.If | ast.While, test: ast.expr) -> ast.If | ast.While:
    return ast.If(test, node.body, node.orelse) if isinstance(node, ast.If) else ast.While(test, node.body, node.orelse)


def mutants_of(module: str) -> Iterator[Mutant]:
    """All mutants of a module, from top to bottom."""
    source = path_of(module).read_text()
    tree = ast.parse(source)
    seen: Counter[str] = Counter()
    for place in _places(tree, None, None):
        node, function = place.node, place.function
        for change, replacement in changed(node):
            place.put(replacement)
            code = compile(ast.fix_missing_locations(tree), str(path_of(module)), "exec")
            place.put(node)
            segment = " ".join((ast.get_source_segment(source, node) or type(node).__name__).split())[:80]
            key = f"{module}.{function.name if function is not None else ''}: {segment}: {change}"
            seen[key] += 1
            yield Mutant(
                module=module,
                key=f"{key} ({seen[key]})" if seen[key] > 1 else key,
                line=getattr(node, "lineno", place.statement.lineno),
                statement=_own_lines(place.statement),
                function=_own_lines(function) if function is not None else None,
                code=code,
            )


@dataclass(slots=True)
class _Place:
    """A node where it stands: in a field of its parent, or at a number in a list there."""

    parent: ast.AST
    field: str
    number: int | None
    statement: ast.stmt
    function: ast.FunctionDef | None

    @property
    def node(self) -> ast.AST:
        held = getattr(self.parent, self.field)
        return held if self.number is None else held[self.number]

    def put(self, node: ast.AST | None) -> None:
        if self.number is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.number] = node


def _places(parent: ast.AST, statement: ast.stmt | None, function: ast.FunctionDef | None) -> Iterator[_Place]:
    """Where something can be changed, in a node and below; words for people, annotations, decorators and assertions are passed over."""
    for field, held in ast.iter_fields(parent):
        if field in {"annotation", "returns", "decorator_list", "type_comment"}:
            continue
        for number, node in enumerate(held) if isinstance(held, list) else [(None, held)]:
            if not isinstance(node, ast.AST) or isinstance(
                node, (ast.JoinedStr, ast.Assert, ast.Raise, ast.expr_context)
            ):
                continue
            is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            if is_text or (isinstance(node, ast.keyword) and node.arg in _OF_NO_CONSEQUENCE):
                continue
            here = node if isinstance(node, ast.stmt) else statement
            if here is not None and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                yield _Place(parent, field, number, here, function)
            yield from _places(node, here, node if isinstance(node, ast.FunctionDef) else function)


def _own_lines(node: ast.stmt) -> range:
    """A statement's lines; of one with a body only its head."""
    body = getattr(node, "body", None)
    is_head_alone = body and not isinstance(node, ast.FunctionDef)
    last = body[0].lineno - 1 if is_head_alone else node.end_lineno
    return range(node.lineno, max(last or 0, node.lineno) + 1)


def path_of(module: str) -> Path:
    return ROOT / "ops_lib" / "sync" / f"{module}.py"


# ── which tests reach what ───────────────────────────────────────────────────────────────────────────────────────────
class Tracer:
    """A pytest plugin that notes which lines of the mutated modules each passing test executes, and how long it takes."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self._module_of = {str(path_of(module)): module for module in modules}
        self._lines: set[tuple[str, int]] = set()
        self.reached: dict[str, dict[str, Any]] = {}
        self.useless: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self.useless.add(report.nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._lines.clear()
        began = time.process_time()
        threading.settrace(self._trace)
        sys.settrace(self._trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
            by_module: dict[str, list[int]] = defaultdict(list)
            for module, line in sorted(self._lines):
                by_module[module].append(line)
            self.reached[item.nodeid] = {"seconds": time.process_time() - began, "lines": by_module}

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        module = self._module_of.get(frame.f_code.co_filename)
        if module is None:
            return None

        def each_line(inner: FrameType, event: str, _: Any) -> Callable[..., Any]:
            self._lines.add((module, inner.f_lineno))
            return each_line

        return each_line(frame, event, None)


class Chosen:
    """A pytest plugin that runs the given tests only, in the given order."""

    def __init__(self, nodeids: list[str]) -> None:
        self._rank = {nodeid: number for number, nodeid in enumerate(nodeids)}
        self.failed = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self._rank), key=lambda i: self._rank[i.nodeid])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and not self.failed:
            self.failed = report.nodeid


_QUIET = [
    "-q",
    "--tb=no",
    "-p",
    "no:cacheprovider",
    "-p",
    "no:xdist",
    "--hypothesis-seed=0",
    "--no-header",
    "--no-summary",
    "-W",
    "ignore::pytest.PytestAssertRewriteWarning",  # of what was loaded before
]


def trace(modules: tuple[str, ...], tests: list[str]) -> dict[str, dict[str, Any]]:
    """Per test its seconds and the lines it reaches. PostgreSQL is left out: what is decided does not depend on it."""

    def run() -> Any:
        tracer = Tracer(modules)
        pytest.main([*_QUIET, "-k", "not postgresql", *tests], plugins=[tracer])
        return {
            "reached": {nodeid: each for nodeid, each in tracer.reached.items() if nodeid not in tracer.useless},
            "useless": sorted(tracer.useless),
        }

    answer = in_a_fork(run, 900)
    if answer is None or not answer["reached"]:
        raise SystemExit("no test passes without any mutant: mend that first")
    for nodeid in answer["useless"]:
        print(f"left out, it does not pass without any mutant either: {nodeid}")
    reached: dict[str, dict[str, Any]] = answer["reached"]
    return reached


def load(tests: list[str]) -> None:
    """Load all that the tests need into this process, so that a fork of it begins at once."""
    with contextlib.redirect_stdout(io.StringIO()):
        if pytest.main([*_QUIET, "--collect-only", *tests]) != 0:
            raise SystemExit("the tests cannot be collected: mend that first")
    for name in LOADED_BEFORE:
        importlib.import_module(name)


def tests_for(mutant: Mutant, reached: dict[str, dict[str, Any]], patience_seconds: float) -> list[str]:
    """The tests that execute the mutated statement, the quickest first, as many as take so long; for what runs at import, of all that use the module."""
    for lines in (mutant.statement if mutant.function is not None else None, mutant.function):
        wanted = set(lines or ())
        found = {
            nodeid: each["seconds"]
            for nodeid, each in reached.items()
            if (
                wanted & set(each["lines"].get(mutant.module, ()))
                if lines is not None
                else mutant.module in each["lines"]
            )
        }
        if found:
            seconds = 0.0
            chosen = []
            for nodeid in sorted(found, key=lambda nodeid: found[nodeid]):
                seconds += found[nodeid]
                if not chosen or seconds < patience_seconds:
                    chosen.append(nodeid)
            return chosen
    return []


# ── a mutant's life ──────────────────────────────────────────────────────────────────────────────────────────────────
def put_in_place(mutant: Mutant) -> bool:
    """Give the loaded module's function the mutant's code; False where that cannot be done (module level, other closures)."""
    if mutant.function is None:
        return False
    held: dict[str, Any] = {"__name__": f"ops_lib.sync.{mutant.module}"}
    exec(mutant.code, held)
    loaded = functions_of(vars(sys.modules[f"ops_lib.sync.{mutant.module}"]))
    begun = {
        name: function
        for name, function in functions_of(held).items()
        if function.__code__.co_filename == str(path_of(mutant.module))  # generated methods have no lines of it
        and function.__code__.co_firstlineno <= mutant.line
    }
    last = max((function.__code__.co_firstlineno for function in begun.values()), default=0)
    changed_functions = {
        name: function
        for name, function in begun.items()
        if name in loaded and function.__code__.co_firstlineno == last
    }
    try:
        for name, function in changed_functions.items():
            loaded[name].__code__ = function.__code__
            loaded[name].__defaults__, loaded[name].__kwdefaults__ = function.__defaults__, function.__kwdefaults__
    except ValueError:  # it uses other names of the function around it
        return False
    return bool(changed_functions)


def functions_of(namespace: dict[str, Any]) -> dict[str, FunctionType]:
    """A module's functions and its classes' methods, by qualified name."""
    found: dict[str, FunctionType] = {}
    for held in namespace.values():
        if getattr(held, "__module__", "") != namespace["__name__"]:
            continue
        for one in vars(held).values() if isinstance(held, type) else [held]:
            function = one.fget if isinstance(one, property) else one
            if isinstance(function, FunctionType) and function.__module__ == namespace["__name__"]:
                found[function.__qualname__] = function
    return found


class Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant where its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, fullname: str, path: Any, target: ModuleType | None = None) -> Any:
        if fullname != f"ops_lib.sync.{self._mutant.module}":
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(path_of(self._mutant.module)))

    def exec_module(self, module: ModuleType) -> None:
        exec(self._mutant.code, module.__dict__)


def fate(mutant: Mutant, nodeids: list[str]) -> tuple[str, str]:
    """What becomes of a mutant: ``killed`` (and by which test), ``survived``, or ``unreached`` where no test executes it."""
    if not nodeids:
        return "unreached", ""

    def run() -> Any:
        if not put_in_place(mutant):  # then everything that could have taken something from the module is loaded again
            for name in [name for name in sys.modules if name.partition(".")[0] in ("ops_lib", "tests")]:
                del sys.modules[name]
            sys.meta_path.insert(0, Mutated(mutant))
        chosen = Chosen(nodeids)
        files = list(dict.fromkeys(nodeid.partition("::")[0] for nodeid in nodeids))
        outcome = pytest.main([*_QUIET, "-x", *files], plugins=[chosen])
        return {"outcome": int(outcome), "by": chosen.failed or "import"}

    answer = in_a_fork(run, LONGEST_SECONDS)
    if answer is None:
        return "killed", "an endless loop, or the end of the process"
    return ("survived", "") if answer["outcome"] == 0 else ("killed", answer["by"])


def in_a_fork(run: Callable[[], Any], seconds: int) -> Any:
    """What a function gives in a copy of this process; None if the copy died or took too long."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(seconds)
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
            with os.fdopen(writer, "wb") as pipe:
                pipe.write(json.dumps(run()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


# ── the run ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--modules", nargs="+", default=list(MODULES), choices=MODULES)
    parser.add_argument("--tests", nargs="+", default=list(TESTS))
    parser.add_argument("--results", type=Path, default=Path("mutation.jsonl"))
    parser.add_argument("--again", type=Path, help="a results file: only what survived in it")
    parser.add_argument("--every", type=int, default=1, help="only each n-th mutant")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds of tests to notice a mutant in")
    options = parser.parse_args()
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    sys.dont_write_bytecode = True
    load(options.tests)
    modules = tuple(options.modules)
    reached = trace(modules, options.tests)
    print(f"{len(reached)} tests, {sum(each['seconds'] for each in reached.values()):.0f} seconds traced", flush=True)
    mutants = [mutant for module in modules for mutant in mutants_of(module)][:: options.every]
    if options.again is not None:
        wanted = {each["key"] for each in read_results(options.again) if each["fate"] != "killed"}
        mutants = [mutant for mutant in mutants if mutant.key in wanted]
    else:
        done = {each["key"] for each in read_results(options.results)}
        mutants = [mutant for mutant in mutants if mutant.key not in done]
    print(f"{len(mutants)} mutants", flush=True)
    tally: dict[str, Counter[str]] = defaultdict(Counter)
    with options.results.open("a") as results:
        for mutant in mutants:
            became, by = fate(mutant, tests_for(mutant, reached, options.patience))
            tally[mutant.module][became] += 1
            results.write(json.dumps({"key": mutant.key, "line": mutant.line, "fate": became, "by": by}) + "\n")
            results.flush()
            if became != "killed":
                print(f"{became}: line {mutant.line}: {mutant.key}", flush=True)
    for module, counts in tally.items():
        print(
            f"{module:10} {counts.total():5} mutants, {counts['killed']} killed, {counts['survived']} survived, {counts['unreached']} unreached"
        )


def read_results(path: Path) -> list[dict[str, Any]]:
    """The lines of a results file; none where there is none."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    main()
