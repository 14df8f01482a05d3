"""The one daemon that knows all jobs: gathers what they need and says which worker runs which."""
