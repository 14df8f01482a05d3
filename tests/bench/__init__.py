"""Benchmarks: every number is a ratio against a peer, measured interleaved in one run.

Each module has `run()`, which returns rows: dicts with `what` (measured), `unit`, `median`, `peer`
(what it is compared with), `ratio` and, where the project has promised one, `target`: a text like
`<= 2.5`.
"""
