"""What a validation split takes away from training, decided by a text alone."""

from __future__ import annotations

import hashlib


def is_held_out(text: str, one_in: int) -> bool:
    """Whether this is the one in so many, the same in every run. Unlike CRC-32, by which the suite's test is split."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % one_in == 0
