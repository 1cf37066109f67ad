"""Wrong uses of the whole public surface by room, each with the error it must give."""
