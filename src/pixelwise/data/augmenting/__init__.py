"""How training pictures are varied: one file per kind, a plain function first in each."""
