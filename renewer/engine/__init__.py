"""One cycle: look, decide, issue, deploy, report. Start reading at `cycle`."""
