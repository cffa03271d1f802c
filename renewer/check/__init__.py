"""`renewer check`: everything that could go wrong, looked for before it does."""
