"""What type checkers say of messages that are filled in place.  Checked by `test_typing.py`, never run."""

from __future__ import annotations

import struct

import numpy as np
from typing_extensions import assert_type

from dora import Node

node = Node()
with node.send_output_raw("frame", 12, metadata={"width": 2}) as buf:
    view = memoryview(buf)
    assert_type(view, memoryview)
    struct.pack_into("<I", view, 0, 7)
    view.release()
    pixels = np.frombuffer(buf, dtype=np.uint8).reshape(2, 2, 3)
    pixels[:] = 0
    del pixels

sample = node.send_output_raw("frame", length=12)
assert_type(sample.as_memoryview(), memoryview)
assert_type(sample.view_count, int)
sample.as_buffer()
sample.send()
