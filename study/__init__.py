"""What is compared, and the record of it: configurations, the matrix, runs, tracking, tuning."""
