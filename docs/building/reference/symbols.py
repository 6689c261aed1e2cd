"""Classes and functions of a chapter as Markdown: signature, text, members."""

import ast
import dataclasses
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from typing import Any

from building.links import repository_path
from building.places import ROOT
from building.reference.chapters import Chapter
from building.reference.docstrings import markdown

WIDTH = 88
Function = ast.FunctionDef | ast.AsyncFunctionDef


def chapter_page(chapter: Chapter) -> str:
    """The page of a chapter."""
    parts = [f"# {chapter.title}"]
    seen: set[str] = set()
    for entry in chapter.symbols:
        module, _, names = entry.partition(":")
        room = importlib.import_module(module)
        for name in names.split() or room.__all__:
            if name not in seen:
                parts.append(symbol(name, getattr(room, name), module))
                seen.add(name)
    return "\n\n".join(parts) + "\n"


def symbol(name: str, value: Any, module: str) -> str:
    """One class, function or constant of a module.

    Args:
        name: as users call it.
        value: the thing itself.
        module: where users import it from.

    Returns:
        A section of a page.
    """
    if inspect.ismodule(value):  # a room that is called: its door is inside
        value = importlib.import_module(f"{value.__name__}.exporting").export
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        return f"## `{name}`\n\n```python\nfrom {module} import {name}\n```{_constant(value)}"
    value = value if inspect.isclass(value) else inspect.unwrap(value)
    file = inspect.getsourcefile(value)
    assert file is not None
    node = _node(value)
    where = f"[`{value.__module__}`](repo:{repository_path(ROOT / file)})"
    usage = f"{module}.{name}" if module == "pixelwise" else f"from {module} import {name}"
    shown = _called(node, name) if isinstance(node, Function) else _constructed(value, name)
    parts = [
        f"## `{name}`",
        f"```python\n{'' if module == 'pixelwise' else usage + chr(10) * 2}{shown}\n```",
        markdown(
            inspect.getdoc(value)
            if "__doc__" in vars(value) or not inspect.isclass(value)
            else None
        ),
    ]
    if isinstance(node, ast.ClassDef):
        parts += _members(node)
    parts.append(where)
    return "\n\n".join(part for part in parts if part)


def _constant(value: Any) -> str:
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return "\n\n" + ", ".join(f"`{key}`" for key in value)
    return ""


def _node(value: Any) -> ast.ClassDef | Function:
    found = ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]
    assert isinstance(found, ast.ClassDef | Function)
    return found


def _called(node: Function, name: str, *, method: bool = False) -> str:
    """A function as its signature, a parameter a line where one line is too long."""
    arguments = node.args
    if method and arguments.args:
        arguments = ast.arguments(
            **{**dict(ast.iter_fields(arguments)), "args": arguments.args[1:]}
        )
        if node.args.posonlyargs:
            arguments = node.args
    result = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    short = f"{name}({ast.unparse(arguments)}){result}"
    if len(short) <= WIDTH:
        return short
    lines = "".join(f"    {parameter},\n" for parameter in _parameters(arguments))
    return f"{name}(\n{lines}){result}"


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    """Each parameter with its annotation and default."""
    plain = [*arguments.posonlyargs, *arguments.args]
    defaults = [None] * (len(plain) - len(arguments.defaults)) + list(arguments.defaults)
    for argument, default in zip(plain, defaults, strict=True):
        yield _parameter(argument, default)
    if arguments.vararg:
        yield f"*{ast.unparse(arguments.vararg)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, default)
    if arguments.kwarg:
        yield f"**{ast.unparse(arguments.kwarg)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    shown = ast.unparse(argument)
    if default is None:
        return shown
    return (
        f"{shown} = {ast.unparse(default)}"
        if argument.annotation
        else f"{shown}={ast.unparse(default)}"
    )


def _constructed(cls: type, name: str) -> str:
    """A class as it is made; of data classes and named tuples the fields are listed below."""
    if dataclasses.is_dataclass(cls) or hasattr(cls, "_fields") or "__init__" not in vars(cls):
        return f"class {name}"
    node = _node(cls)
    assert isinstance(node, ast.ClassDef)
    made = [f for f in node.body if isinstance(f, Function) and f.name == "__init__"]
    if not made:  # a constructor made by a decorator
        return f"class {name}"
    return "class " + _called(made[0], name, method=True).removesuffix(" -> None")


def _members(node: ast.ClassDef) -> Iterator[str]:
    """Fields with their texts, then properties and methods that have a docstring."""
    fields = list(_fields(node))
    if fields:
        yield "**Fields**\n\n" + "\n\n".join(f"`{shown}`\n: {text}" for shown, text in fields)
    for member in node.body:
        if not isinstance(member, Function) or member.name.startswith("_"):
            continue
        text = ast.get_docstring(member)
        if not text:
            continue
        kinds = [ast.unparse(decorator) for decorator in member.decorator_list]
        if any(kind.endswith(("property", "setter")) for kind in kinds):
            result = f": {ast.unparse(member.returns)}" if member.returns is not None else ""
            shown = f"{node.name}.{member.name}{result}"
        else:
            free = "staticmethod" in kinds
            shown = _called(member, f"{node.name}.{member.name}", method=not free)
        yield f"### `{node.name}.{member.name}`\n\n```python\n{shown}\n```\n\n{markdown(text)}"


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Annotated attributes and the text below each; a text may stand for several above it."""
    waiting: list[str] = []
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            if not statement.target.id.startswith("_"):
                waiting.append(ast.unparse(statement))
            continue
        text = (
            statement.value.value
            if isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
            else None
        )
        if waiting and text is not None:
            *bare, last = waiting
            yield from ((shown, "-") for shown in bare)
            yield last, markdown(inspect.cleandoc(text)).replace("\n", " ")
            waiting = []
        elif waiting:
            yield from ((shown, "-") for shown in waiting)
            waiting = []
    yield from ((shown, "-") for shown in waiting)
