"""What is shown of results: tables and pictures for people, rows for programs."""

from farzi.report.charts import plot_charts as plot_charts
from farzi.report.comparison import comparison_table as comparison_table
from farzi.report.comparison import print_comparison as print_comparison
from farzi.report.comparison import save_report as save_report
from farzi.report.comparison import save_results as save_results
from farzi.report.index import readme as readme
from farzi.report.index import save_readme as save_readme
from farzi.report.index import study_of as study_of
from farzi.report.study import markdown as markdown
from farzi.report.study import print_findings as print_findings
from farzi.report.study import save_study as save_study
from farzi.report.study import study_page as study_page
from farzi.report.transfer import print_transfer as print_transfer
from farzi.report.transfer import save_transfer as save_transfer

__all__ = [
    "comparison_table",
    "markdown",
    "plot_charts",
    "print_comparison",
    "print_findings",
    "print_transfer",
    "readme",
    "save_readme",
    "save_report",
    "save_results",
    "save_study",
    "save_transfer",
    "study_of",
    "study_page",
]
