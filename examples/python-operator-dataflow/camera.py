"""A camera that sees a bright spot go round in a circle.

Inputs: tick, 100 Hz.
Outputs: image, uint8[HEIGHT * WIDTH] with metadata width, height and the true place of the spot (x, y).
"""

import math

import numpy as np
from dora import Node

WIDTH, HEIGHT, FRAMES = 64, 48, 100

node = Node()
noise = np.random.default_rng(seed=1)
for number, event in enumerate(node):
    if event["type"] == "STOP" or number == FRAMES:
        break
    angle = 2 * math.pi * number / FRAMES
    x, y = WIDTH / 2 + 20 * math.cos(angle), HEIGHT / 2 + 15 * math.sin(angle)
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    spot = 200 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
    image = np.clip(spot + noise.normal(20, 10, spot.shape), 0, 255).astype(np.uint8)
    node.send_output("image", image.ravel(), {"width": WIDTH, "height": HEIGHT, "x": x, "y": y})
