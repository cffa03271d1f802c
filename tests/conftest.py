"""What all tests share: signals as from a terminal, whatever started the tests (nohup, an &); the umask."""

import os
import signal

os.umask(0o022)

for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)
