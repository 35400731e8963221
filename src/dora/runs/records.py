"""Records of background runs that have ended and that no service has taken up yet."""

from __future__ import annotations

import os
from collections.abc import Mapping

import msgspec

from dora.messages import runner_daemon as messages
from dora.transport import rendezvous


def read_records(environ: Mapping[str, str]) -> list[messages.Ended]:
    """All records of this user, the latest first; they stay where they are."""
    found: list[messages.Ended] = []
    for base in rendezvous.places_to_look(environ):
        folder = os.path.join(base, rendezvous.RECORDS_NAME)
        try:
            if os.stat(folder).st_uid != os.geteuid():
                continue
            names = [name for name in os.listdir(folder) if name.endswith(".json")]
        except OSError:
            continue
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    found.append(messages.decode_record(file.read()))
            except (OSError, msgspec.MsgspecError):
                continue
    return sorted(found, key=lambda record: record.ended_ns, reverse=True)
