"""Situations on the data plane that come in two sizes: small in the test suite, large in `benchmarks/long_runs.py`.

A scenario takes a `Flow` and a count, runs the real thing, and returns marks: figures with the limits they must keep.
"""
