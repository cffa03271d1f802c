"""The operating system: files, processes, permissions, privileges, clock, signals."""
