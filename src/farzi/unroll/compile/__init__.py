"""Steps as traced graphs: what is traced, how it is rewritten and cut, and when a graph is used again."""
