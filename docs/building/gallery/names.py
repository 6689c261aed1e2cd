"""Names in the equations of docstrings, as TeX."""

import re

GREEK = {"alpha", "beta", "gamma", "delta", "lambda", "mu", "sigma", "tau"}
SHORT = {"up", "sa", "hw", "of", "to"}
"""Names of two letters that are a word and no quantity with an index."""
WORDS = {"add", "mul", "far", "near", "max", "avg"}
"""Subscripts of three letters that are words, where others are three indices."""


def quantity(name: str) -> str:
    """A name as TeX: `Wq` is a W with an index, `softmax` a word, `mu` a Greek letter."""
    name, prime = name.removesuffix("'"), "'" * name.endswith("'")
    letters = re.match(r"[A-Za-z]*", name)[0]  # type: ignore[index]
    digits = name[len(letters) :]
    if letters in GREEK:
        tex = "\\" + letters
    elif len(letters) == 1:
        tex = letters
    elif len(letters) == 2 and letters not in SHORT:
        tex, digits = letters[0], letters[1] + digits
    else:
        tex = rf"\operatorname{{{letters}}}"
    return tex + prime + (f"_{{{digits}}}" if digits else "")


def indices(name: str) -> str:
    """A subscript as TeX: `cij` is three indices, `mul` a word."""
    if name in GREEK:
        return "\\" + name
    if name in WORDS or (len(name) > 3 and name.isalpha()):
        return rf"\text{{{name}}}"
    return " ".join(name)
