"""DNS queries, and a folder for each DNS provider."""
