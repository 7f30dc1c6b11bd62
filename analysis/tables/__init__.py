"""Records in, data frames out."""
