"""The benchmarks of DESIGN section 9, each as a ratio to a yardstick measured beside it: `python -m tests.bench`."""
