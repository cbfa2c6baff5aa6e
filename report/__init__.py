"""The page that a run leaves behind: one file, offline, made from what was published."""
