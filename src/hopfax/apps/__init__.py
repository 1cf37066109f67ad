"""Programs built on the library; nothing in the library imports them."""
