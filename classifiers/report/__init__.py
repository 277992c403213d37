"""What the stages found, told: one page that needs nothing but itself.

``evidence`` reads what lies in ``results/``; ``html`` writes the page, of the parts in ``figures``, ``atlas``
and the sections. Refuses to fit a head and to score a row: all that it computes is where a point lies on the
map.
"""
