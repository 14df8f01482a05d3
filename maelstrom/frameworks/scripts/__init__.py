"""Scripts that run inside a container, where this package is not installed.

Each is one file that needs only the standard library and its framework, works with Python 3.8 and
newer, and is passed to `python -c` as text.
"""
