"""What every room stands on: checks, errors, files, progress, child processes."""
