"""Nouns: frozen values that check themselves and do nothing else."""
