node.send_output("string", b"string")
