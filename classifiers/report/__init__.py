"""What the stages found, told: one page that needs nothing but itself, a paper, a card.

``evidence`` reads what lies in ``results/``; ``html`` writes the page, of the parts in ``figures`` and
``sections``; ``prose`` and ``model_card`` write theirs, of the sentences in ``writing``; ``unknowns`` has what was
not established. Refuses to fit a head, to score a row and to place a point.
"""
