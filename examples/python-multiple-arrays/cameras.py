import numpy as np
import pyarrow as pa
from dora import Node

HEIGHT, WIDTH = 48, 64
node = Node()
left = np.full((HEIGHT, WIDTH, 3), 10, dtype=np.uint8)
right = np.full((HEIGHT, WIDTH, 3), 20, dtype=np.uint8)
images = pa.StructArray.from_arrays(
    [pa.ListArray.from_arrays([0, image.size], pa.array(image.ravel())) for image in (left, right)],
    names=["left", "right"],
)
node.send_output("images", images, {"height": HEIGHT, "width": WIDTH})
