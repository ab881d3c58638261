"""The report: the published KPIs as one web page and as a mail."""

from publishing.report.page import write

__all__ = ["write"]
