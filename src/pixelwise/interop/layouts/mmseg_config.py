"""The configuration that mmsegmentation stores as text in its checkpoints, read without running it.

The text is Python: assignments of literals and of `dict(...)`. It is parsed, never executed; what
is anything else becomes None.
"""

import ast
from collections.abc import Mapping
from typing import Any


def parse(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of the configuration, or nothing where there is none that can be read.

    `meta` is that of a checkpoint: versions 0.x keep the text as `config`, 1.x as `cfg`.
    """
    text = meta.get("config") or meta.get("cfg")
    if not isinstance(text, str):
        return {}
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # another file's text, or bytes that are none
        return {}
    found = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found[statement.targets[0].id] = _value(statement.value)
    return found


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand)
        return -inner if isinstance(inner, int | float) else None
    if isinstance(node, ast.List):
        return [_value(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item) for item in node.elts)
    if isinstance(node, ast.Dict):
        return {
            _value(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
            if key is not None
        }
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict":
        return {word.arg: _value(word.value) for word in node.keywords if word.arg is not None}
    return None


def part(config: Mapping[str, Any], *names: str | int) -> dict[str, Any]:
    """The mapping at that place of a configuration, empty where there is none."""
    found: Any = config
    for name in names:
        if isinstance(found, list | tuple) and isinstance(name, int) and name < len(found):
            found = found[name]
        elif isinstance(found, Mapping):
            found = found.get(name)
    return dict(found) if isinstance(found, Mapping) else {}
