"""The package's docstring names what is in it."""

import pkgutil
import re

from pixelwise import ops
from pixelwise.ops.running import choice

LINE = re.compile(r"^    (\w+) +([^:(]+: [\w ]+)(?:\n? *\(([^)]+)\))?", re.MULTILINE)
LISTED = {
    name: forms.split() for name, _, forms in LINE.findall(ops.__doc__) if name != "operation"
}


def test_every_operation_stands_there_with_its_forms():
    operations = {name: forms for name, forms in choice.FORMS.items() if name != "layer"}
    assert {name: tuple(LISTED.get(name, ())) for name in choice.RULES} == operations


def test_every_module_stands_there():
    modules = {found.name for found in pkgutil.iter_modules(ops.__path__)}
    assert modules - {"running"} == set(LISTED) - {"pixel_mean"}


def test_a_kernel_lies_in_the_folder_of_its_operation():
    folders = {found.name for found in pkgutil.iter_modules(ops.__path__) if found.ispkg}
    kernels = {name for name, forms in choice.FORMS.items() if "kernel" in forms}
    assert folders == {*kernels, "deformable", "running"}
    for name in kernels:
        path = [f"{ops.__path__[0]}/{name}"]
        files = {found.name for found in pkgutil.iter_modules(path)}
        assert {"plain", "lean", "kernel", "dispatch"} <= files, name
