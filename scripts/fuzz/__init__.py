"""Damaged, hostile and generated inputs of every format, and independent readings to compare with.

`python -m scripts.fuzz --cases 20000 --seed 1` makes inputs, reads them with the package and prints, by
format, how many were tried, accepted, refused and at fault. A fault is

- anything raised that is no `FarziError`, a crash of the process, or more than 10 seconds or 1 GiB;
- a message of several lines;
- a command line that does not end as the library does: status 0 or 2, one line on stderr, which has no
  control characters;
- an accepted input whose content differs from an independent reading, by `csv`, `json` or plain Python;
- a plain input, made without damage, that is refused.

Each case depends on the seed and its number alone: `--only NUMBER` runs one again.
"""
