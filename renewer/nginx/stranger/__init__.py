"""Finds out what a server of nginx gives to a stranger, who has neither a session nor a link."""
