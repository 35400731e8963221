input_id, value = node.next()
# or
for input_id, value in node:
