import logging
logging.info("Processing item %d", i)
