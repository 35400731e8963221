np.asarray(buf, dtype=np.uint8)[:] = frame
