"""What a report says, in which order, and its pages."""
