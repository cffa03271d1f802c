"""Import from other ACME clients: a module for each client. Nothing of theirs is changed."""
