"""DNS providers, and the look at the DNS itself."""
