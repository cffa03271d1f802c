"""`renewer check`: everything that could go wrong, found before it does. A module for each subject."""
