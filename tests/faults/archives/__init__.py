"""Archives that must be refused whole, and what they are made of. Nothing of silkmill is imported."""
