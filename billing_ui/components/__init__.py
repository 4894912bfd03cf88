"""What the pages are made of; one visual idea a file."""
