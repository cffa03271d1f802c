"""nginx: its configuration, the files it includes, its reload, and what it really serves."""
