"""The agent side: takes attempts from a master, prepares and runs them, and ships what they say."""
