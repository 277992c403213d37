"""How a run reads: the sentences, tables and sources of the documents that are text.

``words`` puts a number or a name into Markdown, ``facts`` reads the evidence, the others hold the sentences
and cells of one subject each. Refuses to know which document they end up in.
"""
