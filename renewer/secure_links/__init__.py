"""Secure links: the keys of sites, the links made with them, and their rotation."""
