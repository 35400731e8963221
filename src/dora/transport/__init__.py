"""Bytes between processes of one machine: memfd arenas, edge pipes, the counters page, the control socket.

Knows nothing of dataflows, Arrow or nodes.
"""
