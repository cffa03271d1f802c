"""What other ACME clients left on this machine: a file for each client; nothing of theirs is ever changed."""
