"""Arrays in, intervals and verdicts out; knows no files, runs or wording."""
