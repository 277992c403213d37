"""URL -> bytes on the disk, or a line that says why not: safely, politely, and once."""
