"""One module a runbook, named as its notebook: the class `Steps` in it is what ``runbook.start(stem, …)`` gives the notebook.

A step is a method that a cell calls: it returns what is to be looked at (a `Sentence`, a table, a drawing, a form) and raises an `OpsError`
where a person can mend what stands in the way. What steps of several runbooks share is in `session`, `tables` and `widgets`.
"""
