"""One tracker a method behind one interface, and the one loop that drives any of them."""
