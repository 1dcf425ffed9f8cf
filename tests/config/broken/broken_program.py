"""A program, not a module: it ends when it is imported."""

raise SystemExit(3)
