"""Answers a run with nothing to do without a full check: an optional cache of "nothing due".

A cycle that found everything in order records until when nothing is due, together with evidence that would
show any change (`writer`): the stamps of files (`stamps`) and the processes of nginx (`nginx_processes`).
If the next run finds that evidence unchanged, it exits at once (`index`).
"""
