"""One cycle: check, decide, issue, deploy, report. Start reading at `cycle`."""
