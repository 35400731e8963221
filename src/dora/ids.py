"""Names: what may identify a node, an input, an output (dora node-api, section 6)."""

from __future__ import annotations

import os
import time

_NODE_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_DATA_CHARACTERS = _NODE_CHARACTERS | {"/"}


def node_id_fault(text: str) -> str | None:
    """What is wrong with `text` as a node id, or None."""
    if not text:
        return "identifier must not be empty"
    if text.startswith("."):
        return "identifier must not start with '.'"
    if text == "dora":
        return "the name 'dora' is reserved"
    return _character_fault(text, _NODE_CHARACTERS, "[a-zA-Z0-9_.-]")


def data_id_fault(text: str) -> str | None:
    """What is wrong with `text` as an input or output id, or None."""
    if not text:
        return "identifier must not be empty"
    if text.startswith("/") or text.endswith("/") or "//" in text:
        return "identifier must not start or end with '/' or contain '//'"
    return _character_fault(text, _DATA_CHARACTERS, "[a-zA-Z0-9_./-]")


def _character_fault(text: str, allowed: frozenset[str], shown: str) -> str | None:
    for character in text:
        if character not in allowed:
            return f"identifier contains invalid character {character!r} -- only {shown} are allowed"
    return None


def new_dataflow_id() -> str:
    """A fresh UUID version 7 as text (RFC 9562 section 5.7): sorts by time of creation."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    text = value.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
