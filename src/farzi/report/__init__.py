"""Results as files: tables and charts for people, rows for programs."""

from farzi.report.comparison import save_report as save_report
