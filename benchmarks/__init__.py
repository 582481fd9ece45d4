"""Performance as ratios against a baseline in the same run; `benchmarks/README.md` says how."""
