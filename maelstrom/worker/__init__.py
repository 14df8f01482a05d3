"""The daemon of one host: fetches layers, lays them out and runs jobs in slots."""
