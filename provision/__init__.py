"""Bring a cluster onto hosts over SSH, keep it as its inventory says, and take it away again."""
