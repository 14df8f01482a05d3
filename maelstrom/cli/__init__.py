"""The programs: arguments, exit statuses, nothing else."""
