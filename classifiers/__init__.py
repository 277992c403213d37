"""How rows become decisions: heads, honest evaluation, comparison."""
