"""What it costs to bring a layer to a worker that has nothing."""
