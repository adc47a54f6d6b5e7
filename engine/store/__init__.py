"""The HDF5 mask store and the foreign formats that turn into it and out of it. No torch."""
