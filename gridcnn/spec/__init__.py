"""The pipeline spec: typed models, YAML that knows its lines and columns, JSON Schema."""
