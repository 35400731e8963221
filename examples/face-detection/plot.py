"""Draws the faces into the frames: an annotated video and a contact sheet.

Ports:
    in  image  uint8[height * width * 3], a BGR frame row by row; metadata: width, height, frame, fps
    in  faces  struct[n] of x, y, width, height (int32, pixels); metadata: frame (whose faces these are)

Writes `annotated.mp4` and `contact-sheet.png` into the folder named by its only argument.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

from dora import Node

SCALE = 3
GREEN = (80, 220, 60)
SHEET_COLUMNS, SHEET_ROWS, SHEET_SCALE = 6, 4, 0.4


def annotate(image: np.ndarray, faces: list[dict[str, int]], number: int) -> np.ndarray:
    """The image, `SCALE` times as large, with a box around each face and its own number."""
    picture = cv2.resize(image, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    for face in faces:
        corner = (face["x"] * SCALE, face["y"] * SCALE)
        size = (face["width"] * SCALE, face["height"] * SCALE)
        cv2.rectangle(picture, (*corner, *size), GREEN, 3)
    text = f"frame {number}: {len(faces)} face{'' if len(faces) == 1 else 's'}"
    cv2.putText(picture, text, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (0, 0, 0), 4, cv2.LINE_AA)
    cv2.putText(picture, text, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def contact_sheet(pictures: list[np.ndarray]) -> np.ndarray:
    """Up to 24 of the pictures, evenly spaced in time, in rows of six, small."""
    chosen = np.linspace(0, len(pictures) - 1, min(len(pictures), SHEET_COLUMNS * SHEET_ROWS)).astype(int)
    small = [
        cv2.resize(pictures[i], None, fx=SHEET_SCALE, fy=SHEET_SCALE, interpolation=cv2.INTER_AREA) for i in chosen
    ]
    while len(small) % SHEET_COLUMNS:
        small.append(np.zeros_like(small[0]))
    return np.vstack([np.hstack(small[i : i + SHEET_COLUMNS]) for i in range(0, len(small), SHEET_COLUMNS)])


class Album:
    """The annotated frames, in order, on their way into the video and the sheet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.images: dict[int, tuple[np.ndarray, float]] = {}
        self.faces: dict[int, list[dict[str, int]]] = {}
        self.pictures: list[np.ndarray] = []
        self.with_face = 0
        self._video: cv2.VideoWriter | None = None

    def add(self, event: dict) -> None:
        """Keep an image or its faces; when both are here, draw and write."""
        metadata = event["metadata"]
        number = metadata["frame"]
        if event["id"] == "image":
            pixels = event["value"].to_numpy()
            self.images[number] = pixels.reshape(metadata["height"], metadata["width"], 3), metadata["fps"]
        else:
            self.faces[number] = event["value"].to_pylist()
        if number in self.images and number in self.faces:
            self._draw(number)

    def _draw(self, number: int) -> None:
        image, fps = self.images.pop(number)
        faces = self.faces.pop(number)
        picture = annotate(image, faces, number)
        if self._video is None:
            height, width, _ = picture.shape
            path = str(self.folder / "annotated.mp4")
            self._video = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"mp4v"), fps, (width, height))
        self._video.write(picture)
        self.pictures.append(picture)
        self.with_face += bool(faces)

    def close(self) -> None:
        """Finish the video, write the sheet, say what is there."""
        if self._video is None:
            sys.exit("no frame arrived: nothing to write")
        self._video.release()
        cv2.imwrite(str(self.folder / "contact-sheet.png"), contact_sheet(self.pictures))
        print(f"{len(self.pictures)} frames, a face in {self.with_face} of them")
        for name in ("annotated.mp4", "contact-sheet.png"):
            print(f"wrote {self.folder / name}")


def main() -> None:
    folder = Path(sys.argv[1]).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    album = Album(folder)
    for event in Node():
        if event["type"] == "INPUT":
            album.add(event)
        elif event["type"] == "STOP":
            break
    album.close()


if __name__ == "__main__":
    main()
