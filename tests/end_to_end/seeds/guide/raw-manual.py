sample = node.send_output_raw("frame", height * width * 3)
mv = sample.as_memoryview()
arr = np.asarray(mv, dtype=np.uint8).reshape(height, width, 3)
arr[:] = frame
del arr # drop derived numpy view first
mv.release() # then release the memoryview itself
sample.send() # ship it
