"""The process that tries expressions. It does not outlive one that takes more than its processor time."""

import signal
import warnings

from silkmill.runtime.expressions import CPU_SECONDS, answer
from silkmill.runtime.workprocess import serve


def _answer_in_time(question: bytes) -> bytes:
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)  # its signal ends the process, whatever Python is in
    result = answer(question)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return result


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # of expressions; the one who asks has seen them
    serve(_answer_in_time)
