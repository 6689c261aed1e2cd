import pytest

pytest.importorskip("av", reason="clips need PyAV")
