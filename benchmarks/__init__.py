"""How exact the library is, and what it costs."""
