"""Damaged and hostile input, drawn at random: an answer, or one line that says what is wrong.

The gate draws the same few examples each time; `FUZZ=5000 python -m pytest tests/fuzz` draws
others, and more.
"""
