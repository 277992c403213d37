"""Fused kernels of the design features: arrays in, sums and features out.

`colour` passes over the RGB pixels once, `gradient` and `tone` over the grey plane that it leaves.
Sums are integers, or float64 sums of float32 roots in an order that the code fixes (no fastmath), one
image a thread: no thread count moves a result. Knows nothing of files, stores or how rows are kept.

No module here imports another, and each holds the constants it compiles in: numba's cache watches only
the file of the function it caches, and would serve stale code for what is imported.
"""
