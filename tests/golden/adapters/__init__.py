"""How to build our module for each recorded system, one adapter per system.

Every module here may hold `ADAPTERS` (system -> adapter) and `DIFFERENT` (system -> why it is other
arithmetic than ours, on purpose), and `UNCOUNTED`: systems that are compared with a class of the
tests, since nobody can load such weights alone.
"""

import importlib
import pkgutil

from adapters.subject import Adapter

ADAPTERS: dict[str, Adapter] = {}
DIFFERENT: dict[str, str] = {}
UNCOUNTED: set[str] = set()
for found in pkgutil.iter_modules(__path__, __name__ + "."):
    module = importlib.import_module(found.name)
    ADAPTERS |= getattr(module, "ADAPTERS", {})
    DIFFERENT |= getattr(module, "DIFFERENT", {})
    UNCOUNTED |= getattr(module, "UNCOUNTED", set())
