"""What commands print: text, tables, JSON, QR codes."""
