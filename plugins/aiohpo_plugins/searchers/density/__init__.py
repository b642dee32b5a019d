"""Ratios of densities of good and bad configurations: TPE and BOHB's KDE."""
