"""Issuers: where certificates come from."""
