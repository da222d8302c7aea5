"""What came out, and how sure is it? Intervals, paired comparisons, verdicts on claims."""
