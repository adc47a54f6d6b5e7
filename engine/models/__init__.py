"""The networks, one folder each: config, network, key names. They know tensors; time and files are elsewhere."""
