"""Hooks: what goes along on the cycle of the certificates."""
