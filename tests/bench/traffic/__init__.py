"""What keeps a broker busy, and what it costs."""
