"""The daemon, and its installation into a machine with systemd."""
