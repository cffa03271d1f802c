"""The exit code of what was found."""

from renewer.core.finding import Group, Topic, exit_code


def test_the_exit_code_is_that_of_the_worst() -> None:
    topic = Topic(Group.CA)
    warning, error = topic.warning("x", "", "", ""), topic.error("x", "", "", "")
    unread = Topic(Group.CONFIGURATION).error("file", "", "", "")
    assert exit_code([]) == exit_code([topic.ok("x", ""), warning]) == 0
    assert exit_code([warning, error]) == 1
    assert exit_code([unread]) == 78
