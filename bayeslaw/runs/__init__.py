"""A user's table becomes `Runs`: read, renamed, derived columns added, and checked."""
