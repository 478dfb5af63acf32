"""Floor 3: all SQL; one file a table or aggregate."""
