"""Train each run once, many runs together: records, sweeps, searches, results."""
