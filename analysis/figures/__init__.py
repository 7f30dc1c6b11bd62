"""Data frames and arrays in, matplotlib figures out."""
