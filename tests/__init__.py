"""One thread a process, set before torch is imported: models as small as the tests' are several times slower on two."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
