"""Test real projects in their own way and in ours: `python -m tests.real [NAME ...]`."""

import argparse
import collections
import statistics
import sys
from pathlib import Path

from tests.real.projects import OURS, PROJECTS, Project, Way
from tests.real.ways import Ran, Verdicts, run

SHOWN_MAX = 20


def main() -> int:
    """Run what is asked for; the exit status is 1 if verdicts differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(PROJECTS)}; all by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", type=Path, default=Path("build/real"))
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in PROJECTS]
    if unknown:
        parser.error(f"no project `{unknown[0]}`; there are {', '.join(PROJECTS)}")
    work = options.directory.absolute()
    work.mkdir(parents=True, exist_ok=True)
    are_good = [
        _test(PROJECTS[name], work, options.rounds) for name in options.names or PROJECTS
    ]  # Not in `all`, which would stop at the first.
    return 0 if all(are_good) else 1


def _test(project: Project, work: Path, rounds: int) -> bool:
    print(f"\n## {project.name}\n", flush=True)
    if not (work / project.name).exists():
        project.get(work)
    directory = work / project.name / project.directory
    built = run(project.build, directory)
    print(f"built in {built.wall_s:.0f} s", flush=True)
    times: dict[str, list[Ran]] = collections.defaultdict(list)
    verdicts: dict[str, list[Verdicts]] = collections.defaultdict(list)
    for _ in range(rounds):
        for way in project.ways:
            run(way.clean, directory)
            ran = run(way.command, directory, {"PYTHON": sys.executable})
            (directory / f".{way.name.replace(' ', '-')}.out").write_text(ran.out)
            times[way.name].append(ran)
            if way.verdicts is not None:
                verdicts[way.name].append(way.verdicts(ran.out, directory))
    for way in project.ways:
        _print_row(way, times[way.name], verdicts.get(way.name, []))
    return _compare(verdicts)


def _print_row(way: Way, times: list[Ran], verdicts: list[Verdicts]) -> None:
    walls = [ran.wall_s for ran in times]
    cpu_s = statistics.median(ran.cpu_s for ran in times)
    counts = [collections.Counter(found.values()) for found in verdicts]
    said = {", ".join(f"{count[word]} {word}" for word in sorted(count)) for count in counts}
    print(
        f"| {way.name} | {' or '.join(sorted(said)) or '-'} | {statistics.median(walls):.1f} s "
        f"({min(walls):.1f}-{max(walls):.1f}) | {cpu_s:.1f} s |",
        flush=True,
    )


def _compare(verdicts: dict[str, list[Verdicts]]) -> bool:
    """Print the cases of which not all runs said the same."""
    said: dict[str, dict[str, set[str]]] = collections.defaultdict(dict)
    for way, runs in verdicts.items():
        for case in {case for found in runs for case in found}:
            said[case][way] = {found.get(case, "nothing") for found in runs}
        for case in said:
            said[case].setdefault(way, {"nothing"})
    differing = [case for case, ways in said.items() if len(set.union(*ways.values())) > 1]
    for case in sorted(differing)[:SHOWN_MAX]:
        print(
            f"  {case}: " + "; ".join(f"{w} {'/'.join(sorted(v))}" for w, v in said[case].items())
        )
    print(f"{len(said)} cases, {len(differing)} with different verdicts", flush=True)
    # A way of theirs may say now this and now that: ours must say one of it.
    theirs = next(iter(verdicts))
    return all(ways[OURS] <= ways[theirs] for ways in said.values())


if __name__ == "__main__":
    sys.exit(main())
