"""Which layer where: the one grammar of `create_model`, `insert`, the command line and YAML.

A plan is a sequence of placements: where, the layer's key, its options. As text:

    plan       ENTRY; ENTRY; ...        or, with commas,  ENTRY, ENTRY, ...
    ENTRY      LAYER@WHERE,WHERE,...    psa_s@3,4         layers after stages 3 and 4
               WHERE=LAYER              layer4=psa_s      the same thing, one place at a time
               LAYER                    psa_s             at the default place, where there is one
    LAYER      NAME                     psa_s, or as papers have it: Coordinate Attention
               NAME(OPTION=VALUE, ...)  isa(down_factors=[(8, 8)], dropout=0.1)
    VALUE      a word, a number, true, false, null, a quoted text, or a list of them
    none       no layer at all

A comma parts entries and places alike, and is never ambiguous: a piece with `=` or `@` begins an
entry, and one without is a further place of the `LAYER@WHERE` before it. So `psa_s@3,4, layer2=gc`
has two entries. A place with one of `,;=@()[]{}` or a quote in its name is quoted: "a,b"=psa_s.

As a mapping, in Python and YAML: `{WHERE: LAYER}`, where a layer may also be `{"name": KEY, OPTION:
VALUE}` or `(KEY, {OPTION: VALUE})`. A place is then one name, as it is, or an integer for a stage.

Places, of which each consumer takes some:

    3, stage3            after stage 3; stages are 1 to 4, 4 is the last (the coarsest features)
    inner, inner3        inside the residual blocks of all stages, or of one; see backbones.residual
    blocks, blocks3      at their ends
    each stage           after the last module of each resolution
    layer3.*.bn2         after every module whose name matches
    nn.BatchNorm2d       after every module of a type (a mapping's key in Python)

`create_model` takes stages, inner and blocks for `attention`, and stages for `convolution`;
`insert` takes stages, `each stage`, names and types. Saved models and runs hold what `to_text`
writes.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeGuard

from pixelwise.errors import InputError
from pixelwise.kinds import plain
from pixelwise.layers.option_text import read_literal, read_options, split, write_options

Where = str | type
Options = Mapping[str, Any]
EACH_STAGE = "each stage"
EXAMPLES = "write for example 'psa_s@3,4' or 'layer4=psa_s'"

_SPECIAL = set(",;=@()[]{}'\"")
_NAME = r"\w(?:[\w .+/&-]*[\w.+-])?"
_LAYER = re.compile(
    rf"""(?:({_NAME})|(?P<quote>['"])((?:(?!(?P=quote))[^\\])*)(?P=quote))\s*(?:\((.*)\))?""",
    re.DOTALL,
)


class Placement(NamedTuple):
    """A layer at a place."""

    where: Where
    key: str
    """Its name, as it is written."""
    options: Options


def is_saved(spec: object) -> TypeGuard[str]:
    """Whether this is no plan but the name of a file with insertions, which `insert` takes too."""
    return isinstance(spec, str) and spec.endswith(".safetensors")


def kind_of(where: Where) -> tuple[str, int | None]:
    """The kind of a place ("stage", "inner", "blocks", EACH_STAGE, "name", "type"), its number.

    Where a module has a name that reads like another kind, `insert` takes the module.
    """
    if isinstance(where, type):
        return "type", None
    found = re.fullmatch(r"(?:(stage)?([0-9]{1,9})|(inner|blocks)([0-9]{0,9}))", where)
    if found is None:
        return EACH_STAGE if where == EACH_STAGE else "name", None
    number = found[2] or found[4]
    return found[3] or "stage", int(number) if number else None


def parse(
    spec: str | Mapping[Any, Any] | None, name: str, *, default: Sequence[str] = ()
) -> tuple[Placement, ...]:
    """Read a plan in any of its forms.

    Args:
        spec: The plan; None is one without layers.
        name: What the user calls it, for messages, such as "attention".
        default: Where a layer goes that is named without a place; without it, that is an error.

    Raises:
        InputError: It is no plan.
    """
    try:
        if isinstance(spec, str):
            return () if spec.strip() == "none" else tuple(_entries(spec, default))
        if isinstance(spec, Mapping):
            return tuple(Placement(_given(at), *layer_of(layer)) for at, layer in spec.items())
        if spec is None:
            return ()
        raise InputError(f"is no text and no mapping; {EXAMPLES}")
    except InputError as error:
        raise InputError(f"{name}={spec!r}: {error}") from error


def to_text(plan: Iterable[Placement]) -> str:
    """The canonical text of a plan, which `parse` reads back.

    Raises:
        InputError: A place or an option's value that has no text, such as a type of modules.
    """
    entries = [
        f"{layer}@{','.join(_where_text(one.where) for one in same)}"
        for layer, same in groupby(plan, layer_text)
    ]
    return "; ".join(entries) or "none"


def _entries(text: str, default: Sequence[str]) -> Iterator[Placement]:
    pieces = [[p for p in split(part, ",") if p.strip()] for part in split(text, ";")]
    if not any(pieces):
        raise InputError(f"names no layer; {EXAMPLES}, or 'none'")
    for items in pieces:
        layer = None  # the one that further places are for
        for item in items:
            sides, halves = split(item, "="), split(item, "@")
            if len(sides) + len(halves) > 3:
                raise InputError(f"{item.strip()!r} has several '=' or '@'; {EXAMPLES}")
            if len(sides) == 2:
                layer = None
                yield Placement(_place(sides[0]), *layer_of(sides[1]))
            elif len(halves) == 2:
                layer = layer_of(halves[0])
                yield Placement(_place(halves[1]), *layer)
            elif layer is not None:
                yield Placement(_place(item), *layer)
            elif default and len(items) == 1:
                layer = layer_of(item)
                yield from (Placement(where, *layer) for where in default)
            else:
                raise InputError(f"{item.strip()!r} names no place and layer; {EXAMPLES}")


def _place(text: str) -> str:
    found = text.strip()
    if found[:1] in {"'", '"'}:
        found = read_literal(found)
        if isinstance(found, str):
            return found
    if not found or not _SPECIAL.isdisjoint(found):
        raise InputError(f"{text.strip()!r} is no place; {EXAMPLES}, with quotes around odd names")
    return found


def _given(found: object) -> Where:
    if isinstance(found, int) and not isinstance(found, bool):
        return f"stage{found}"
    if isinstance(found, str | type):
        return found
    raise InputError(f"{found!r} is no place; give a stage, a name, a pattern or a module's type")


def layer_of(spec: object) -> tuple[str, Options]:
    """Name and options of a layer, or of an upsampler, in any of the forms of LAYER.

    Raises:
        InputError: It is none.
    """
    if isinstance(spec, str):
        if found := _LAYER.fullmatch(spec.strip()):
            return found[1] or found[3], read_options(found[4] or "")
    elif isinstance(spec, Mapping) and isinstance(spec.get("name"), str):
        return spec["name"], plain({k: v for k, v in spec.items() if k != "name"})
    elif isinstance(spec, tuple | list) and [*map(_kind, spec)] == ["name", "options"]:
        return spec[0], plain(dict(spec[1]))
    raise InputError(
        f"{spec!r} is no layer; give a layer's name such as 'psa_s', 'psa_s(variant=paper)', or"
        " {'name': 'psa_s', 'variant': 'paper'}"
    )


def _kind(part: object) -> str:
    return "name" * isinstance(part, str) + "options" * isinstance(part, Mapping)


def _where_text(where: Where) -> str:
    if isinstance(where, type):
        raise InputError(f"where={where.__name__}: a type has no text; name modules by a pattern")
    odd = not where or where != where.strip() or not _SPECIAL.isdisjoint(where)
    return repr(where) if odd else where


def layer_text(one: Placement) -> str:
    """A layer's name and options, as a plan has them.

    Raises:
        InputError: The name, or an option's value, has no text.
    """
    told = write_options(one.options)
    name = one.key if re.fullmatch(_NAME, one.key) else repr(one.key)
    text = f"{name}({told})" if told else name
    layer_of(text)  # raises where the name or an option's name has no text
    return text
