"""Stores: where values are kept."""
