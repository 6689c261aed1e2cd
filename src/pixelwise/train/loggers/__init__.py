"""Where a run's numbers go beside its CSV files; one tool per file, each behind `base.Logger`."""
