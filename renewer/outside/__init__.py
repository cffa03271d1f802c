"""Those outside who are told how cycles end: a collector of figures, people, a monitor."""
