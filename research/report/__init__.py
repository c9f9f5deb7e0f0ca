"""A study's page, its charts, and the index of all results."""

from research.report.charts import plot_charts as plot_charts
from research.report.index import readme as readme
from research.report.index import save_readme as save_readme
from research.report.index import study_of as study_of
from research.report.page import markdown as markdown
from research.report.page import print_findings as print_findings
from research.report.page import save_study as save_study
from research.report.page import study_page as study_page

__all__ = [
    "markdown",
    "plot_charts",
    "print_findings",
    "readme",
    "save_readme",
    "save_study",
    "study_of",
    "study_page",
]
