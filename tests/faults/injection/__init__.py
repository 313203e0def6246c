"""What tries to become a command, an option or a file, and the witness that tells what became of it."""
