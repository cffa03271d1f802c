"""What each command does: a file a command, loaded when it is called."""
