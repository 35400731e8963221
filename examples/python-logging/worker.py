import logging

from dora import Node

node = Node()
log = logging.getLogger("worker.items")
for i in range(3):
    node.log("info", "Processing item", {"count": str(i)})
    log.debug("details of item %d", i)
log.warning("item %d is late", 2, extra={"late_by_ms": 12})
try:
    1 / 0  # noqa: B018 # a mistake, to be logged
except ZeroDivisionError:
    logging.exception("item 3 is broken")
