"""Notebooks as programs: parameters, runs, report, forecast, doctor, front page."""
