"""State: typed values over a store of bytes."""
