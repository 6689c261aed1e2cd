"""The recipe of weights lies beside the recorded vectors."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "golden"))
