"""Steps as traced graphs: what is traced, how it is rewritten and cut, and when a graph is used again."""

from farzi.unroll.compile.cache import ExecutionWarning as ExecutionWarning
from farzi.unroll.compile.compiled import Compiled as Compiled
from farzi.unroll.compile.graph import Fusion as Fusion
from farzi.unroll.compile.graph import add_fusion as add_fusion
from farzi.unroll.compile.graph import add_rewrite as add_rewrite
from farzi.unroll.compile.graph import cuda_graphs as cuda_graphs
from farzi.unroll.compile.graph import inductor as inductor
from farzi.unroll.compile.graph import interpreter as interpreter
