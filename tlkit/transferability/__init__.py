"""Does a network fit a task? Measures that train nothing."""
