"""Finds faces that look into the camera, with OpenCV's Haar cascade.

Ports:
    in  image  uint8[height * width * 3], a BGR frame row by row; metadata: width, height
    out faces  struct[n] of x, y, width, height (int32, pixels), one per face, once per image;
               metadata: that of the image
"""

import cv2
import numpy as np
import pyarrow as pa

from dora import Node

FACES = pa.struct([(name, pa.int32()) for name in ("x", "y", "width", "height")])
SMALLEST_FACE = (30, 30)


def find_faces(cascade: "cv2.CascadeClassifier", image: np.ndarray) -> pa.Array:
    """The faces in a BGR image (height, width, 3), as an array of `FACES`."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    boxes = cascade.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=4, minSize=SMALLEST_FACE)
    return pa.array([dict(zip(FACES.names, map(int, box), strict=True)) for box in boxes], type=FACES)


def main() -> None:
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    node = Node()
    for event in node:
        if event["type"] == "INPUT":
            metadata = event["metadata"]
            image = event["value"].to_numpy().reshape(metadata["height"], metadata["width"], 3)
            node.send_output("faces", find_faces(cascade, image), metadata)
        elif event["type"] == "STOP":
            break


if __name__ == "__main__":
    main()
