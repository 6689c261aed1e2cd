"""Adapters of heads and whole networks."""

from adapters.subject import Adapter

ADAPTERS: dict[str, Adapter] = {}

DIFFERENT: dict[str, str] = {
    "danet_head@seed004": (
        "untransposed attention product, differs from the authors and the paper"
    ),
}
