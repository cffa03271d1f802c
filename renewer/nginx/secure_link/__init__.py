"""The files that nginx includes for secure links, and the texts they are made from."""
