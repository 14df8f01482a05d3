"""What a job's environment is where nothing else is said: the same on every host, every time."""

CONTAINER_ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/tmp",  # The job's own, always there and always empty.
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    # What asks for the present time to put it into a file gets that of all files of layers.
    "SOURCE_DATE_EPOCH": "946684800",
    # The order of sets and dictionaries is that of the last run.
    "PYTHONHASHSEED": "0",
    "PERL_HASH_SEED": "0",
}
