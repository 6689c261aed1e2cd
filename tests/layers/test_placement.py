"""The grammar of plans: its forms, its one canonical text, and what it refuses."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pixelwise.errors import InputError
from pixelwise.layers.placement import EACH_STAGE, Placement, kind_of, parse, to_text


def plan_of(*entries):
    return tuple(Placement(where, key, options) for where, key, options in entries)


ISA = {"down_factors": ((8, 8),), "dropout": 0.1}


@pytest.mark.parametrize(
    ("spec", "plan", "text"),
    [
        (None, [], "none"),
        ("none", [], "none"),
        ({}, [], "none"),
        ("gc", [("4", "gc", {})], "gc@4"),
        ("psa_s@3,4", [("3", "psa_s", {}), ("4", "psa_s", {})], "psa_s@3,4"),
        ("psa_s@inner", [("inner", "psa_s", {})], "psa_s@inner"),
        ("gc@blocks3,4", [("blocks3", "gc", {}), ("4", "gc", {})], "gc@blocks3,4"),
        ({3: "gc"}, [("stage3", "gc", {})], "gc@stage3"),
        (
            "layer3.*.bn2=psa_s, layer4=isa",
            [("layer3.*.bn2", "psa_s", {}), ("layer4", "isa", {})],
            "psa_s@layer3.*.bn2; isa@layer4",
        ),
        (
            "psa_s@3, 4, layer2=gc,se@stem , each stage",
            [
                ("3", "psa_s", {}),
                ("4", "psa_s", {}),
                ("layer2", "gc", {}),
                ("stem", "se", {}),
                (EACH_STAGE, "se", {}),
            ],
            "psa_s@3,4; gc@layer2; se@stem,each stage",
        ),
        (
            "isa(down_factors=[(8, 8)], dropout=.1) @ layer4 ; layer3 = psa_s( variant = paper );",
            [("layer4", "isa", ISA), ("layer3", "psa_s", {"variant": "paper"})],
            "isa(down_factors=((8, 8),), dropout=0.1)@layer4; psa_s(variant=paper)@layer3",
        ),
        (
            {"layer4": {"name": "isa", "down_factors": [[8, 8]], "dropout": 0.1}, "a": ("se", {})},
            [("layer4", "isa", ISA), ("a", "se", {})],
            "isa(down_factors=((8, 8),), dropout=0.1)@layer4; se@a",
        ),
        ({"4": ["se", {"reduction": 2}]}, [("4", "se", {"reduction": 2})], "se(reduction=2)@4"),
        ({"a,b": "se"}, [("a,b", "se", {})], "se@'a,b'"),
        ('se@d,"a=b;c"', [("d", "se", {}), ("a=b;c", "se", {})], "se@d,'a=b;c'"),
        ("Coordinate Attention @ 3", [("3", "Coordinate Attention", {})], "Coordinate Attention@3"),
        ("极化自注意力(a=8)@4", [("4", "极化自注意力", {"a": 8})], "极化自注意力(a=8)@4"),
        (
            "'Polarized self-attention (sequential)'(a=8)@4; A2-Nets@3",
            [("4", "Polarized self-attention (sequential)", {"a": 8}), ("3", "A2-Nets", {})],
            "'Polarized self-attention (sequential)'(a=8)@4; A2-Nets@3",
        ),
        (
            "se(a=true, b=null, c='true', d=-1, e='x, y', f=None, g=(1,))@3",
            [
                (
                    "3",
                    "se",
                    {"a": True, "b": None, "c": "true", "d": -1, "e": "x, y", "f": None, "g": (1,)},
                )
            ],
            "se(a=True, b=None, c='true', d=-1, e='x, y', f=None, g=(1,))@3",
        ),
    ],
)
def test_forms(spec, plan, text):
    found = parse(spec, "insert", default=("4",))
    assert found == plan_of(*plan)
    assert to_text(found) == text


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "names no layer"),
        (" ;, ", "names no layer"),
        ("psa_s", "'psa_s' names no place and layer"),
        ("layer3, layer4=isa", "'layer3' names no place and layer"),
        ("layer3=isa, layer4", "'layer4' names no place and layer"),
        ("layer4=", "'' is no layer"),
        ("=isa", "'' is no place"),
        ("isa@", "'' is no place"),
        ("a=b=c", "has several '=' or '@'"),
        ("a@b=c", "has several '=' or '@'"),
        ("se@a[0]", "'a[0]' is no place"),
        ("se(@3", "a quote or bracket has no partner"),
        ("se@3)", "a quote or bracket has no partner"),
        ('"a=b;c"=se, d', "'d' names no place and layer"),
        ("se@it's", "a quote or bracket has no partner"),
        ("se@'a' b", "is no value"),
        ("se@(3)", "'(3)' is no place"),
        ("se(2)@3", "'2' is no option"),
        ("se(a=1, a=2)@3", "'a=2' is no option"),
        ("se(a=)@3", "'' is no value"),
        ("se(a=1e999)@3", "'1e999' is no value"),
        ("se(a=2j)@3", "'2j' is no value"),
        ("se(a={1: 2})@3", "is no value"),
        ("a=(b@3", "a quote or bracket has no partner"),
        ("?@3", "'?' is no layer"),
        ("'a'b'@3", "a quote or bracket has no partner"),
        ({3: (7, {})}, "is no layer"),
        ({3: ["se", "gc"]}, "is no layer"),
        ({3: 7}, "7 is no layer; give a layer's name"),
        ({3: {"reduction": 2}}, "is no layer"),
        ({3.5: "se"}, "3.5 is no place"),
        ({True: "se"}, "True is no place"),
    ],
)
def test_what_is_refused_in_one_line(spec, told):
    with pytest.raises(InputError) as error:
        parse(spec, "insert")
    assert str(error.value).startswith(f"insert={spec!r}: ")
    assert told in str(error.value)
    assert "; " in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("3", ("stage", 3)),
        ("stage12", ("stage", 12)),
        ("inner", ("inner", None)),
        ("blocks3", ("blocks", 3)),
        ("each stage", (EACH_STAGE, None)),
        ("stage", ("name", None)),
        ("stages.3", ("name", None)),
        ("", ("name", None)),
        (int, ("type", None)),
    ],
)
def test_kinds_of_places(where, kind):
    assert kind_of(where) == kind


def test_what_has_no_text():
    for one, told in (
        (Placement(int, "se", {}), "where=int: a type has no text"),
        (Placement("3", "se", {"a": float("inf")}), "a=inf: has no text"),
        (Placement("3", "'s\"", {}), "is no layer"),
        (Placement("3", "se", {"a b": 1}), "'a b=1' is no option"),
    ):
        with pytest.raises(InputError, match=told):
            to_text([one])


KEYS = st.from_regex(r"\w[\w.-]{0,8}", fullmatch=True)
NAMES = st.from_regex(r"[a-z_]{1,8}", fullmatch=True)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8), st.sampled_from(["paper", "true", "null", "None", "a-b"]),
)  # fmt: skip
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
PLACES = st.one_of(st.text(max_size=8), st.sampled_from(["3", "inner", "layer3.*.bn2", "none"]))
LAYERS = st.tuples(KEYS, st.dictionaries(NAMES, VALUES, max_size=3))
PLANS = st.lists(st.builds(lambda where, layer: Placement(where, *layer), PLACES, LAYERS))
SYNTAX = st.text(st.sampled_from(" ,;=@()[]{}'\"\\\na3.*-"), max_size=24)


@settings(max_examples=40, deadline=None)
@given(PLANS)
@example([Placement("1", "se", {"a": 1}), Placement("2", "se", {"a": True})])
def test_a_plan_comes_back_from_its_text(plan):
    text = to_text(plan)
    assert repr(list(parse(text, "insert"))) == repr(plan)
    assert to_text(parse(text, "insert")) == text


@settings(deadline=None)
@given(st.one_of(st.text(), SYNTAX, SYNTAX.map(lambda text: f"se(a={text})@3")))
@example("se(a=" + "(" * 500 + ")" * 500 + ")@3")
@example("se(a=0\0)@3")
def test_any_text_is_a_plan_or_refused(text):
    try:
        plan = parse(text, "insert", default=("4",))
    except InputError:
        return
    assert parse(to_text(plan), "insert") == plan
