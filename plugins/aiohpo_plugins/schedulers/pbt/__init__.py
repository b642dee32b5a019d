"""Population based training, and replaying a schedule that it found."""
