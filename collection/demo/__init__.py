"""The demo cast: three hundred characters that our own code draws, with known causes of their looks.

Owns: the latent model (``factors``), the cast (``cast``), the drawing (``drawing`` and the parts it puts
together), the files (``render``) and the sheets (``sheet``). Refuses to know the pipeline: it writes
``images/`` and ``metadata/`` like anybody's data.
"""

__all__ = ["DEMO_MARK"]

#: Stands in the data folder when its images are the demo cast.
DEMO_MARK = "metadata/demo.json"
