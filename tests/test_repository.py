"""Rules of the house that no tool knows: how long things may be, and what files may say."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 400  # lines
LONGEST_BODY = 45  # lines of a function, its docstring apart

LIBRARY = sorted((ROOT / "faye_sync").rglob("*.py"))
EVERY_FILE = [*LIBRARY, *sorted((ROOT / "tests").rglob("*.py")), *(ROOT / "examples").rglob("*.py")]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def nodes(path: Path) -> Iterator[ast.AST]:
    return ast.walk(ast.parse(path.read_text(encoding="utf-8")))


def body_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from the first statement after the docstring to the last."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def long_functions(path: Path) -> list[str]:
    functions = (
        node for node in nodes(path) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        f"line {function.lineno}, {function.name}: {body_length(function)} lines"
        for function in functions
        if body_length(function) > LONGEST_BODY
    ]


def sleeps(path: Path) -> list[int]:
    """The lines that name time.sleep, called or not, or import it."""
    return [
        node.lineno
        for node in nodes(path)
        if (isinstance(node, ast.Attribute) and ast.unparse(node) == "time.sleep")
        or (
            isinstance(node, ast.ImportFrom)
            and node.module == "time"
            and any(alias.name == "sleep" for alias in node.names)
        )
    ]


def bare_excepts(path: Path) -> list[int]:
    return [
        node.lineno
        for node in nodes(path)
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]


@pytest.mark.parametrize("path", LIBRARY, ids=short)
def test_no_file_is_too_long(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST_FILE, f"{lines} lines; a file has one job: split it"


@pytest.mark.parametrize("path", LIBRARY, ids=short)
def test_no_function_is_too_long(path):
    assert long_functions(path) == []


@pytest.mark.parametrize("path", LIBRARY, ids=short)
def test_the_library_never_sleeps(path):
    assert sleeps(path) == []


@pytest.mark.parametrize("path", EVERY_FILE, ids=short)
def test_no_except_is_bare(path):
    assert bare_excepts(path) == []


def test_a_body_is_counted_without_its_docstring():
    source = 'def f():\n    """Say\n    much."""\n    x = (\n        1\n    )\n    return x'
    assert body_length(ast.parse(source).body[0]) == 4


def test_every_public_name_is_documented():
    import faye_sync

    public = {name: getattr(faye_sync, name) for name in faye_sync.__all__}
    for name, value in tuple(public.items()):
        if inspect.isclass(value):
            parts = (part for part in vars(value) if not part.startswith("_"))
            public |= {f"{name}.{part}": getattr(value, part) for part in parts}
    silent = [
        name for name, value in public.items() if callable(value) and not inspect.getdoc(value)
    ]
    assert silent == []


def test_the_package_carries_its_types():
    metadata = ConfigParser()
    metadata.read(ROOT / "setup.cfg", encoding="utf-8")
    assert metadata["options.package_data"]["faye_sync"] == "py.typed, *.pyi"
    assert (ROOT / "faye_sync" / "py.typed").exists()


def test_npm_packages_are_pinned_exactly_and_name_no_registry():
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for name, version in wanted.items():
        # One that has another name here is "npm:name@version".
        assert locked[f"node_modules/{name}"]["version"] == version.rpartition("@")[2]
    assert [name for name, package in locked.items() if "resolved" in package] == []


def test_the_license_is_there_in_full():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
