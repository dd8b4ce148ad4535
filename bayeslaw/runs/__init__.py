"""A user's table becomes `Runs`: files, filters, columns that follow from others, and every fault at once."""
