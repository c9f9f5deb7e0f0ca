"""What is shown of results: tables and pictures for people, rows for programs."""

from farzi.report.comparison import comparison_table as comparison_table
from farzi.report.comparison import print_comparison as print_comparison
from farzi.report.comparison import save_report as save_report
from farzi.report.comparison import save_results as save_results
from farzi.report.transfer import print_transfer as print_transfer
from farzi.report.transfer import save_transfer as save_transfer

__all__ = [
    "comparison_table",
    "print_comparison",
    "print_transfer",
    "save_report",
    "save_results",
    "save_transfer",
]
