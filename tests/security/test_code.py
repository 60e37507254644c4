"""Nothing that anybody types is run, but for expressions of scripts, whose functions look at figures and no more."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).parent.parent.parent

RUN_CODE = frozenset({"eval", "exec", "compile", "__import__", "breakpoint"})
"""Of Python itself, called by their bare names: they make code of texts."""

MAKE_CODE = frozenset({"system", "popen", "from_string", "render_template_string", "exec_module", "load_module"})
"""Called on anything: they make code or a command of texts."""

CODE_MODULES = frozenset(
    {"pickle", "marshal", "shelve", "dill", "code", "codeop", "runpy", "builtins", "asteval", "pty"}
)

STARTS = frozenset({"fork", "execv", "execve", "execvp", "execvpe", "posix_spawn", "spawnv", "startfile"})

LIBRARIES = frozenset({"cel", "celpy", "simpleeval", "numexpr", "jsonpath", "jmespath", "lark", "RestrictedPython"})
"""They make something of expressions."""

COMMAND_LINE = "portal/cli/"
"""Whoever may call commands may start processes; nobody comes there through a browser."""


class _Use(NamedTuple):
    """Something a line does: it calls by a name, bare or of something, or it imports modules."""

    path: str
    line: int
    called: str
    is_bare: bool
    modules: frozenset[str]


@cache
def _uses() -> tuple[_Use, ...]:
    found = []
    for folder in ("portal", "workers"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            name = str(path.relative_to(REPOSITORY))
            found += [use for node in ast.walk(ast.parse(path.read_text())) if (use := _use(name, node))]
    return tuple(found)


def _use(path: str, node: ast.AST) -> _Use | None:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return _Use(path, node.lineno, name, True, frozenset())
        case ast.Call(func=ast.Attribute(attr=name)):
            return _Use(path, node.lineno, name, False, frozenset())
        case ast.Import(names=names):
            return _Use(path, node.lineno, "", False, frozenset(each.name.partition(".")[0] for each in names))
        case ast.ImportFrom(module=str(module), level=0):
            return _Use(path, node.lineno, "", False, frozenset({module.partition(".")[0]}))
    return None


def test_no_text_becomes_code() -> None:
    assert [
        f"{use.path}:{use.line}"
        for use in _uses()
        if (use.is_bare and use.called in RUN_CODE) or use.called in MAKE_CODE or use.modules & CODE_MODULES
    ] == []


def test_only_the_command_line_starts_processes() -> None:
    found = {use.path for use in _uses() if use.modules & {"subprocess", "multiprocessing"} or use.called in STARTS}
    assert found
    assert all(path.startswith(COMMAND_LINE) for path in found), found


def test_a_module_that_is_imported_by_name_is_named_by_us() -> None:
    """Whoever may write a name of a module may run it: only these do it, and what they import is written in them."""
    found = {use.path for use in _uses() if use.called == "import_module"}
    assert found == {"portal/cli/__init__.py", "portal/cli/processes.py", "portal/notifications/channels/gateway.py"}


def test_expressions_are_understood_in_one_place() -> None:
    """By one library; the one place lets nothing through to it that it has not read and written anew."""
    found = {(use.path, each) for use in _uses() for each in use.modules & LIBRARIES}
    assert found == {("portal/alerts/scripts.py", "cel")}
