"""Results as files: tables and charts for people, rows for programs."""

from farzi.report.comparison import save_report as save_report
from farzi.report.comparison import save_results as save_results
from farzi.report.transfer import save_transfer as save_transfer
from farzi.report.transfer import transfer_text as transfer_text

__all__ = ["save_report", "save_results", "save_transfer", "transfer_text"]
