import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
from pixelwise.allocation import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    bytearray(64 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

done = keep_freed_memory()
faults()
print(done, faults())
"""


def run(**environment):
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PIXELWISE_KEEP_MEMORY", "GLIBC_TUNABLES") and "MALLOC" not in name
    }
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=kept | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return said[0] == "True", int(said[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_a_second_block_takes_no_fresh_pages():
    done, faults = run()
    assert done
    assert faults < 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIXELWISE_KEEP_MEMORY", "off"),
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072"),
    ],
)
def test_what_somebody_chose_stays(name, value):
    done, _ = run(**{name: value})
    assert not done


def test_another_c_library_is_left_alone(monkeypatch):
    from pixelwise import allocation

    monkeypatch.delenv("PIXELWISE_KEEP_MEMORY")
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert not allocation.keep_freed_memory()
