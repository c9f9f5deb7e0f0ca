"""Results as files: tables and charts for people, rows for programs."""

from farzi.report.comparison import save_report as save_report
from farzi.report.frontier import check_suffix as check_suffix
from farzi.report.frontier import frontier_points as frontier_points
from farzi.report.frontier import plot_frontier as plot_frontier
from farzi.report.page import write_page as write_page
from farzi.report.page import write_report as write_report
