"""Tune any program: here a shell script, forecast.sh, which forecasts airline passengers with awk.

    python examples/shell_command.py --trials 150
    aiohpo run examples/shell_command.py --trials 300

There is no Python objective. The program gets the parameters as ``--name=value`` and prints lines of JSON: with a
"step" they are reports, without one the result. ``seasonal`` is passed only where there is a season.
"""

import argparse
import shlex
from pathlib import Path

from aiohpo import Categorical, Float, Space, Study

script = Path(__file__).resolve().with_name("forecast.sh")

space = Space(
    season=Categorical(["none", "additive", "multiplicative"]),
    level=Float(0.0, 1.0),
    trend=Float(0.0, 1.0),
    damping=Float(0.8, 1.0),
    seasonal=Float(0.0, 1.0, when={"season": ["additive", "multiplicative"]}),
)

study = Study(None, space, metric="rmse", evaluator=f"command:sh {shlex.quote(str(script))}", seed=0)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Tune a forecast that a shell script makes.")
    parser.add_argument("--trials", type=int, default=150)
    parser.add_argument("--slots", type=int, default=2, help="trials at a time")
    options = parser.parse_args()

    result = study.run(trials=options.trials, slots=options.slots)

    for season in space["season"].choices:
        errors = [t.value for t in result.trials if t.config["season"] == season and t.value is not None]
        if errors:
            print(f"{season:<14} {len(errors):>4} tried, error of the best {min(errors):6.2f} thousand passengers")
    best = result.best
    arguments = " ".join(f"--{name}={value:.4g}" for name, value in best.config.items() if name != "season")
    print(f"best, off by {best.metrics['percent']:.1f} % in the mean:")
    print(f"  sh {script.name} --season={best.config['season']} {arguments}")
