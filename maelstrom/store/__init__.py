"""The content store: blobs by digest and the layers made of them."""
