"""Certificates for nginx through DNS-01, deployed until nginx is seen to serve them."""

__version__ = "0.1.0"
