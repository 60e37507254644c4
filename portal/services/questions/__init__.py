"""“Is email down?”, answered from the services of the company that asks: understanding, reading, wording.

`rules.py` understands a question, `queries.py` reads what may be said, `words.py` says it.
"""
