"""SASRec trained on all real events, by Farzi and by other libraries; see benchmarks/README.md."""
