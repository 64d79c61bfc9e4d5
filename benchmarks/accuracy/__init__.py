"""How often the ready specs are right, beside plain methods on the same items."""
