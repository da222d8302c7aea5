"""What each study's published numbers show, and what they cannot: one file per study."""
