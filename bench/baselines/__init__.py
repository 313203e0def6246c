"""What Silkmill is measured against, each at its best."""
