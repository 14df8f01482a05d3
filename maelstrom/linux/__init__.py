"""One function per system call or kernel file that Python's `os` lacks, and no policy.

Rules of this package:
1. Standard library only, and cheap to import: the slots load it without `site`.
2. A failed call raises OSError with the kernel's errno; the caller knows what it was about.
3. System call numbers are told for x86_64 and aarch64.
"""
