"""kyara's feature store: what is stored, under which identity, and how it is read back.

The package owns image decoding, the data set's index, feature specifications, the canonical HDF5
stores and the row cache. It refuses to know how a row is computed: it imports neither
``extractors`` nor ``classifiers``.
"""
