"""Time and memory of layers and networks, beside plain forms and other packages.

Cases are named in `cases` and built in `subject`. `plain` has the authors' arithmetic on the same
parameters, `peers` the same mechanisms of other packages. `work` and `child` are what one process
measures, `processes` starts and ends them; `floor` is what the machine allows at best. `run` and
`growth` are whole runs, `rows` their file; `table`, `pictures` and `results` are what one reads.
"""
