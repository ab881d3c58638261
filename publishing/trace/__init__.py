"""Explains one number: what it means, the way it came, and the rows that it is made of."""

from publishing.trace.text import report
from publishing.trace.tracing import Trace, trace

__all__ = ["Trace", "report", "trace"]
