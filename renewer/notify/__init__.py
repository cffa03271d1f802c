"""Who is notified after a cycle: people, a monitor, metrics, the administrator's commands."""
