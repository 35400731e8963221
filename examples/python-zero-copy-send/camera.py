import numpy as np
from dora import Node

HEIGHT, WIDTH = 1080, 1920
node = Node()
for number in range(3):
    metadata = {"height": HEIGHT, "width": WIDTH}
    with node.send_output_raw("frame", HEIGHT * WIDTH * 3, metadata=metadata) as buf:
        image = np.asarray(buf, dtype=np.uint8).reshape(HEIGHT, WIDTH, 3)
        image[:] = number
        del image  # let go of the buffer before it is sent
