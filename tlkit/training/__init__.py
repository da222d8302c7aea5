"""One training loop, and what acts in it: feeding, augmentation, penalties."""
