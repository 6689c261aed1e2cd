"""Finds what error messages can say: every InputError that the source builds, as readable text.

What a message takes in while the program runs stands in it as a placeholder in capital letters:
`f"{name}={value}: must be at least {least}; raise {name}"` becomes
`NAME=VALUE: must be at least LEAST; raise NAME`.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from building.error_rooms import heading
from building.places import ROOT

PACKAGE = ROOT / "src" / "pixelwise"
ERRORS = ("InputError", "Unequal", "NoKernel", "NoGradient", "UnreadableError")
"""InputError and the classes that are made from it."""
SLUG_WORDS = 6
Scope = dict[str, list[ast.expr]]
"""Name -> what is assigned to it, in a function or a module."""


@dataclass(frozen=True)
class Message:
    """One message.

    Args:
        place: File of the source, below the package, without its ending.
        line: Line there.
        text: All of it, with placeholders.
    """

    place: str
    line: int
    text: str

    @property
    def rule(self) -> str:
        """What is wrong: the part before the first semicolon."""
        return self.text.partition("; ")[0].strip()

    @property
    def remedy(self) -> str:
        """What to do: the part behind it."""
        return self.text.partition("; ")[2].strip()

    @property
    def anchor(self) -> str:
        """Its place on the page: a few of its words, and a number that keeps it apart."""
        words = re.findall(r"[a-z0-9]+", re.sub(r"[A-Z_]{2,}", " ", self.text).lower())
        digest = hashlib.sha256(f"{heading(self.place)} {self.text}".encode()).hexdigest()[:5]
        return "-".join(["error", *words[:SLUG_WORDS], digest])


def messages(package: Path = PACKAGE) -> list[Message]:
    """All messages with words of their own, in the order of files and lines.

    Args:
        package: Folder of the source.
    """
    found = []
    for file in sorted(package.rglob("*.py")):
        place = file.relative_to(package).with_suffix("").as_posix()
        found += list(_of_module(place, ast.parse(file.read_text(encoding="utf-8"))))
    return found


def _of_module(place: str, module: ast.Module) -> Iterator[Message]:
    shared = _assigned(module.body)
    for node, scope in _calls(module, shared):
        text = " ".join(readable(node.args[0], scope).split()) if node.args else ""
        if "; " in text:  # otherwise it only puts a place before another message
            yield Message(place, node.lineno, text)


def _calls(node: ast.AST, scope: Scope) -> Iterator[tuple[ast.Call, Scope]]:
    """Calls that build an error, each with the names that it can see."""
    for child in ast.iter_child_nodes(node):
        inner = scope
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inner = {**scope, **_assigned(child.body)}
        if isinstance(child, ast.Call) and getattr(child.func, "id", "") in ERRORS:
            yield child, inner
        yield from _calls(child, inner)


def _assigned(body: list[ast.stmt]) -> Scope:
    """Texts that are assigned to a name anywhere in it, functions and classes inside left out."""
    found: Scope = {}
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            found.setdefault(statement.targets[0].id, []).append(statement.value)
        for field in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(statement, field, [])
            statements = [h for part in inner for h in getattr(part, "body", [])]
            for name, values in _assigned(statements if field == "handlers" else inner).items():
                found.setdefault(name, []).extend(values)
    return found


def readable(node: ast.expr, scope: Scope, depth: int = 0) -> str:
    """What an expression of a message says, with a placeholder for what only a run knows.

    Args:
        node: The expression.
        scope: Names that it can see.
        depth: How many names were followed to come here.
    """
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return _joined(readable(part, scope, depth) for part in node.values)
    if isinstance(node, ast.FormattedValue):
        return readable(node.value, scope, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return readable(node.left, scope, depth) + readable(node.right, scope, depth)
    if isinstance(node, ast.IfExp):
        return _either(node, scope, depth)
    if isinstance(node, ast.Name) and depth < 3 and _is_text(scope.get(node.id, [])):
        texts = [readable(value, scope, depth + 1) for value in scope[node.id]]
        return " / ".join(dict.fromkeys(filter(None, texts)))
    return _placeholder(node)


def _joined(parts: Iterable[str]) -> str:
    """Parts of a text; a placeholder never grows together with a word or another placeholder."""
    text = ""
    for part in parts:
        glued = re.search(r"[A-Za-z]$", text) and re.match(r"[A-Z]{2}", part)
        text += f" {part}" if glued and not text.endswith("x") else part
    return text


def _either(node: ast.IfExp, scope: Scope, depth: int) -> str:
    """Both of two texts; the one that says something where the other is empty."""
    sides = [readable(side, scope, depth) for side in (node.body, node.orelse)]
    said = [side for side in sides if side]
    if len(said) == 2 and all(side.startswith(" ") for side in said):
        return " " + " / ".join(side.strip() for side in said)
    return " / ".join(said)


def _is_text(values: list[ast.expr]) -> bool:
    """Whether a name always stands for a text that can be read off the source."""
    kinds = (ast.JoinedStr, ast.IfExp, ast.BinOp)
    return bool(values) and all(
        (
            isinstance(value, kinds)
            and any(isinstance(getattr(n, "value", None), str) for n in ast.walk(value))
        )
        or (isinstance(value, ast.Constant) and isinstance(value.value, str))
        for value in values
    )


def _placeholder(node: ast.expr) -> str:
    """The name of what a run puts there, in capital letters."""
    if isinstance(node, ast.Call) and node.args and not isinstance(node.func, ast.Attribute):
        return _placeholder(node.args[0])
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return _placeholder(node.args[0] if node.func.attr == "join" and node.args else node.func)
    if isinstance(node, ast.Attribute) and node.attr == "__name__":
        return "TYPE"
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self":
        return node.attr.strip("_").upper()
    if isinstance(node, ast.Attribute):
        simple = node.attr in ("name", "value", "text", "strerror", "shape", "size")
        return _placeholder(node.value) + "_" + node.attr.upper() if simple else node.attr.upper()
    if isinstance(node, ast.Name):
        return node.id.strip("_").upper()
    if isinstance(node, ast.Subscript | ast.Starred):
        return _placeholder(node.value)
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return _placeholder(node.generators[0].iter)
    if isinstance(node, ast.BinOp):
        return _placeholder(node.left)
    return "VALUE"
