"""What people see of a run: one account of progress (the snapshot), drawn as a bar, a screen, lines or JSON."""
