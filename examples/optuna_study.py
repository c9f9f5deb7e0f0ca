"""A study of Optuna on a summary, in a loop of your own: your sampler, your pruner, your callbacks.

    python examples/optuna_study.py runs/mine              # a summary of an earlier `farzi distill`
    python examples/optuna_study.py runs/mine --trials 100

`farzi tune` does the same in several processes, resumes, and confirms the best settings on the full data.
`pip install 'farzi[tune]'` installs Optuna.
"""

import argparse
import sys

import optuna

from farzi.errors import FarziError
from farzi.tuning import Objective, objective

SPACE = {
    "student.type": {"choices": ["sasrec", "gru4rec"]},
    "student.hidden": {"type": "int", "min": 16, "max": 64, "step": 16},
    "inner.optimizer.learning_rate": {"type": "float", "min": 0.005, "max": 0.1, "scale": "log"},
}


def main(arguments: list[str] | None = None) -> optuna.Study:
    """Print the best setting, and return the study."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("summary", help="the folder of a summary")
    parser.add_argument("--trials", type=int, default=20)
    options = parser.parse_args(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    goal: Objective = objective(options.summary, space=SPACE, metric="ndcg@10", seeds=2)
    sampler = optuna.samplers.TPESampler(seed=0)
    study = optuna.create_study(direction=goal.direction, sampler=sampler, pruner=goal.pruner)
    study.enqueue_trial(goal.space.own())  # the recipe's own setting first

    # study.optimize(goal, n_trials=options.trials) is all it takes; the same by ask and tell:
    for _ in range(options.trials):
        trial = study.ask()
        study.tell(trial, goal(trial))
    print(f"trial {study.best_trial.number}: nDCG@10 {100 * study.best_value:.2f} %, {study.best_params}")
    return study


if __name__ == "__main__":
    try:
        main()
    except FarziError as error:
        sys.exit(str(error))
