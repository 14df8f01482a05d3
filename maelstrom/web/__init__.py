"""The broker's page: how its state looks; what there is to see is in `broker.status`."""
