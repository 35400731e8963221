"""The process of a user's node: everything behind `from dora import Node`.

Loads neither asyncio nor yaml; pyarrow only once a node has connected.
"""
