"""What a stranger, who has neither a session nor a link, gets from a server of nginx."""
