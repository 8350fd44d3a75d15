"""Figures of a run: what was measured of whom in which round, medians of it, and ratios of two contestants round by round.

A result is {contestant: [{"round": n, figure: number, ...}, ...]}; a round may stand in several pieces. Nothing here measures.
"""
import math
import statistics

FLOOR_OF_NOISE = 0.03  # two builds that differ by less are called the same
SURE = 4.0  # standard errors
ROUNDS_NEEDED = 4


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


def spread(logs, middle):
    """Standard deviation, by the larger of two estimates that one disturbed round does not move: without it, and from the median deviation."""
    rest = sorted(abs(x - middle) for x in logs)
    return max(math.sqrt(sum(d * d for d in rest[:-1]) / (len(rest) - 2)), 1.4826 * statistics.median(rest))


def judge(old, new, higher_is_better):
    """Of two {round: value}: (verdict, median ratio new/old, (least, most)), verdict worse, better, same or too few; None without a pair.

    The median of the paired ratios has to differ from 1 by more than the least that counts and by more than four standard errors of a
    median, and all rounds but one in five have to agree on the direction.
    """
    logs = [math.log(r) for r in ratios(new, old) if r > 0]
    if not logs:
        return None
    middle, verdict = statistics.median(logs), "same"
    if len(logs) < ROUNDS_NEEDED:
        verdict = "too few"
    elif abs(middle) > max(math.log1p(FLOOR_OF_NOISE), SURE * 1.25 * spread(logs, middle) / math.sqrt(len(logs))) and \
            sum(1 for x in logs if x * middle > 0) >= len(logs) - len(logs) // 5:
        verdict = "better" if (middle > 0) == higher_is_better else "worse"
    return verdict, math.exp(middle), (math.exp(min(logs)), math.exp(max(logs)))
