"""The service: what `install-service` puts into a machine with systemd, and how it takes it out again."""
