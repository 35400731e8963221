"""The runs of this user on this machine, seen from outside: find them, ask them, measure them."""
