"""Which requests a candidate gets: always the same ones, and more of them when its share grows."""

from __future__ import annotations

import hashlib
from typing import Final

from taxonomy.labels import CheckpointId

_BUCKETS: Final = 2**64


def takes(candidate: CheckpointId, name: str, share: float) -> bool:
    """Whether the candidate gets the request of this name, with a share from 0 to 1 of all.

    The name is the comment's id, or the comment itself where it has none. The candidate is hashed too, so that not the
    same customers are every candidate's first.
    """
    digest = hashlib.sha256(f"{candidate}\0{name}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * _BUCKETS
