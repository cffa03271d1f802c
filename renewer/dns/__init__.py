"""What the DNS itself shows, and a folder for each DNS provider."""
