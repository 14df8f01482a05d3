"""Whoever submits jobs: the session with a broker, and the test run above it."""
