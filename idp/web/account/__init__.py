"""``/account``: what protects the account, and how its owner changes that."""
