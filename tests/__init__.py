"""The tests; a package of its own name, which no installed one with the same name can stand before."""
