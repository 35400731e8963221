node.log("info", "Processing item", {"count": str(i)})
