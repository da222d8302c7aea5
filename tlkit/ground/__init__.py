"""Names, paths, progress bars and the machine: every room uses them, they use none."""
