"""The configuration: its schema, how it is read, secrets, and the template for a first file."""
