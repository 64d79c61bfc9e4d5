"""Settings: typed values that refuse what is wrong in one sentence, and YAML with places."""
