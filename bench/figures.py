"""Figures of a run: what was measured of whom in which round, medians of it, and ratios of two contestants round by round.

A result is {contestant: [{"round": n, figure: number, ...}, ...]}; a round may stand in several pieces. Nothing here measures.
"""
import math
import statistics

FLOOR_OF_NOISE = 0.03  # two builds that differ by less are called the same
SURE = 3.0  # standard errors


def by_round(pieces, key):
    """{round: value}; the last piece that has it counts. Records of before there were numbers count as rounds in order."""
    found = {}
    for at, piece in enumerate(pieces or []):
        if piece.get(key) is not None:
            found[piece.get("round", at)] = piece[key]
    return found


def values(pieces, key):
    return list(by_round(pieces, key).values())


def median(pieces, key):
    v = values(pieces, key)
    return statistics.median(v) if v else None


def ratios(above, below):
    """Of two {round: value}: what the first is of the second in each round that has both."""
    return [above[n] / below[n] for n in sorted(above) if below.get(n)]


def best(results, names, key, higher_is_better):
    """{round: the best value among names}."""
    choose, found = max if higher_is_better else min, {}
    for name in names:
        for number, value in by_round(results.get(name), key).items():
            found[number] = choose(found.get(number, value), value)
    return found


def keys_of(*lists):
    """Names of figures in order of appearance."""
    found = {}
    for pieces in lists:
        for piece in pieces or []:
            found.update(dict.fromkeys(k for k in piece if k != "round"))
    return list(found)


def judge(old, new, higher_is_better):
    """Of two {round: value}: (verdict, median ratio new/old, spread), verdict worse, better or same.

    The median of the paired ratios has to differ from 1 by more than the least that counts and by more than three standard errors,
    which are estimated from the median deviation: one disturbed round neither makes nor hides a difference.
    """
    logs = [math.log(r) for r in ratios(new, old) if r > 0]
    if not logs:
        return None
    middle = statistics.median(logs)
    deviation = 1.4826 * statistics.median(abs(x - middle) for x in logs)
    error = deviation / math.sqrt(len(logs)) if len(logs) > 2 else math.inf
    least = max(math.log1p(FLOOR_OF_NOISE), SURE * error)
    agreeing = sum(1 for x in logs if x * middle > 0)
    if abs(middle) <= least or agreeing < len(logs) - len(logs) // 5:
        verdict = "same"
    else:
        verdict = "better" if (middle > 0) == higher_is_better else "worse"
    return verdict, math.exp(middle), (math.exp(min(logs)), math.exp(max(logs)))
