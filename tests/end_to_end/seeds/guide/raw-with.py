height, width = 1080, 1920
with node.send_output_raw("frame", height * width * 3, metadata={"width": width}) as buf:
    arr = np.asarray(buf, dtype=np.uint8).reshape(height, width, 3)
    arr[:] = frame
    del arr # release the numpy view before `with` exits (see "Safety contract")
# data is sent automatically when the `with` block exits
