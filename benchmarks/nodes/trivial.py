"""Receives small messages, and says how much memory its process has, messages aside.

Ports:
    in data  uint8[n], at any rate
"""

import re

from results import write_result

from dora import Node

SHARED_MESSAGES = ("/memfd:", "/dev/shm/")


def memory_bytes(word: str) -> int:
    """The sum of one line of /proc/self/smaps ("Rss", "Pss"), without the mappings that hold messages."""
    total = 0
    is_counted = True
    with open("/proc/self/smaps") as smaps:
        for line in smaps:
            if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
                is_counted = not any(name in line for name in SHARED_MESSAGES)
            elif is_counted and line.startswith(f"{word}:"):
                total += int(line.split()[1]) * 1024
    return total


count = total = 0
node = Node()
for event in node:
    if event["type"] == "INPUT":
        total += sum(event["value"].to_pylist())
        count += 1
        if count == 10:
            write_result(rss_bytes=memory_bytes("Rss"), pss_bytes=memory_bytes("Pss"))
