"""The authors' arithmetic as one writes it first: key -> function of a layer and its inputs.

Each takes the parameters of the layer here and gives the same numbers, by the operations of the
papers' equations and the habits of the released code: 1x1 convolutions, maps of all pairs,
permutations, `expand` and `cat`. A few rare options have no plain form; where one is timed
its numbers are compared with the layer's first.
"""

from pixelwise.benchmarks.plain import (
    convolutional,
    gates,
    pairwise,
    polarized,
    summaries,
    tokens,
)
from pixelwise.benchmarks.plain.parts import Form, Forms

FORMS: Forms = {
    **polarized.FORMS,
    **gates.FORMS,
    **pairwise.FORMS,
    **summaries.FORMS,
    **tokens.FORMS,
    **convolutional.FORMS,
}

__all__ = ["FORMS", "Form"]
