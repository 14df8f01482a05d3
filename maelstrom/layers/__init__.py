"""Make layers out of files of this host: recipes in, manifests out."""
