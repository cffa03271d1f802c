"""A run with nothing to do, answered without a look: a cache of "nothing due", needed by nothing.

A cycle that found everything as it has to be writes down until when nothing is due, and what would show that
anything changed since (`writer`): the stamps of files (`stamps`) and the processes of nginx
(`nginx_processes`). The next run that finds all of that the same ends at once (`index`).
"""
