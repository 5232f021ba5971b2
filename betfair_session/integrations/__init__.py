"""For users of other packages, each of which is imported by its own module alone."""
