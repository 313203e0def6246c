"""The stores: SQLite, and one in memory."""
