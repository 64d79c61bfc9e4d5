"""How well the checker of the rule of thumb does, on real tables and on made families of tables."""
