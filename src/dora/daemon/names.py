"""Names of dataflows: which are allowed, and new ones for those that were given none (`brave-otter`)."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Container
from typing import Final

_ALLOWED: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", re.ASCII)
_FIRST: Final = (
    "able", "amber", "brave", "bright", "brisk", "calm", "clever", "cosy", "crisp", "deft", "eager", "early", "fair",
    "fond", "fresh", "gentle", "glad", "golden", "happy", "humble", "keen", "kind", "lively", "lucky", "mellow",
    "merry", "mild", "neat", "nimble", "noble", "patient", "plucky", "proud", "quick", "quiet", "ready", "silent",
    "smart", "snug", "solid", "steady", "sunny", "swift", "tidy", "tiny", "vivid", "warm", "wise", "witty", "young",
)  # fmt: skip
_SECOND: Final = (
    "badger", "bear", "beaver", "bee", "bison", "crane", "deer", "dolphin", "dove", "duck", "eagle", "ermine", "falcon",
    "ferret", "finch", "fox", "frog", "gecko", "goose", "hare", "hawk", "heron", "horse", "ibis", "jay", "koala",
    "lark", "lemur", "lion", "lynx", "marten", "mole", "moose", "moth", "newt", "otter", "owl", "panda", "puffin",
    "rabbit", "raven", "robin", "salmon", "seal", "sparrow", "stork", "swan", "tiger", "trout", "turtle", "whale",
    "wolf", "yak",
)  # fmt: skip


def name_fault(name: str) -> str | None:
    """What is wrong with a name that a user gave, or None."""
    try:
        uuid.UUID(name)
    except ValueError:
        pass
    else:
        return "a name must not look like an id"
    if _ALLOWED.fullmatch(name):
        return None
    return "a name has 1 to 64 letters, digits, `_`, `.` or `-`, and starts with a letter, digit or `_`"


def new_name(taken: Container[str]) -> str:
    """Two words that are not taken."""
    for _ in range(100):
        name = f"{random.choice(_FIRST)}-{random.choice(_SECOND)}"
        if name not in taken:
            return name
    return f"{name}-{random.randrange(10**6)}"
