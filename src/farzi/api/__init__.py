"""The front door: load data, distil it, train on it, as `farzi.NAME`."""

from farzi.api.distilling import compare as compare
from farzi.api.distilling import distill as distill
from farzi.api.distilling import tune_baseline as tune_baseline
from farzi.api.loading import load_log as load_log
from farzi.api.loading import load_text as load_text
from farzi.api.searching import tune as tune
from farzi.api.training import train as train
