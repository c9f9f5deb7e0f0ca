"""Ray Train's workers share the work of a run, on a real cluster of one machine."""

# pyright: reportMissingImports=false

from pathlib import Path
from typing import Any

import pytest

from . import together
from .test_processes import contents, csv, one  # noqa: F401 (fixtures)

ray = pytest.importorskip("ray")
SCRIPT = Path(together.__file__)


def work(settings: dict[str, Any]) -> None:
    """In each of Ray's processes."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("together", settings["script"])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.distil(module.load(settings["csv"]), Path(settings["folder"]))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_two_workers_end_with_the_bits_of_one_process(csv: Path, one: Path, tmp_path: Path):  # noqa: F811
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    environ = {"env_vars": {"OMP_NUM_THREADS": "1"}}
    ray.init(num_cpus=2, include_dashboard=False, runtime_env=environ)
    try:
        settings = {"script": str(SCRIPT), "csv": str(csv), "folder": str(tmp_path)}
        kept = RunConfig(storage_path=str(tmp_path / "ray"))
        TorchTrainer(
            work,
            train_loop_config=settings,
            scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
            run_config=kept,
        ).fit()
    finally:
        ray.shutdown()
    assert contents(tmp_path / "run") == contents(one)
