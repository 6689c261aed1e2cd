"""Time and memory of layers and networks, beside plain forms and other packages.

Cases are named in `cases` and built in `subject`. Plain forms are those of the layers' own files;
`peers` has the same mechanisms of other packages. `work` and `child` are what one process
measures, `processes` starts and ends them; `floor` is what the machine allows at best. `run` and
`growth` are whole runs, `rows` their file; `table`, `pictures` and `results` are what one reads.
"""
