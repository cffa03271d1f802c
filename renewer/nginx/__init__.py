"""nginx: the files that it includes, its configuration, its reload, and what it is seen to serve.

`deployer` brings it all together; each of the others knows one thing, and imports go one way only.
"""
