"""What the studies published, and what is wrong in it."""
