"""Bytes to messages and back: what passes between client, broker and worker."""
