"""Write many small GoogleTest cases: `generate.py CASES FILE.cc`.

Of every ten cases one is skipped, one disabled and three come from a parametrised suite. With
`--failing` each hundredth case fails.
"""

import argparse
from pathlib import Path

HEAD = """\
#include <gtest/gtest.h>

static int sum(int below) {
    int total = 0;
    for (int i = 0; i < below; i++) total += i;
    return total;
}
"""

# One class for all values: a suite of its own for every three would take minutes to compile.
PARAMETRISED = """\
class Parametrised : public testing::TestWithParam<int> {{}};
TEST_P(Parametrised, SumsUp) {{
    EXPECT_EQ(sum(GetParam() + 1) - sum(GetParam()), GetParam());
}}
INSTANTIATE_TEST_SUITE_P(Range, Parametrised, testing::Range(0, {count}));
"""

SUITE = """\
TEST(Plain{suite}, DISABLED_Later) {{ FAIL(); }}
TEST(Plain{suite}, Skips) {{ GTEST_SKIP() << "nothing to do here"; }}
TEST(Plain{suite}, SumsUp) {{ EXPECT_EQ(sum({suite}), {suite} * ({suite} - 1) / 2); }}
TEST(Plain{suite}, IsEmpty) {{ EXPECT_EQ(sum(0), 0); }}
TEST(Plain{suite}, IsPositive) {{ EXPECT_GE(sum({suite}), 0); }}
TEST(Plain{suite}, Grows) {{ EXPECT_LE(sum({suite}), sum({suite} + 1)); }}
TEST(Plain{suite}, {last}) {{ EXPECT_EQ(sum(2), {expected}); }}
"""
CASES_OF_SUITE = 10


def source(cases: int, *, failing: bool = False) -> str:
    """Return the C++ for at least so many cases."""
    suites = -(-cases // CASES_OF_SUITE)
    parts = [HEAD, PARAMETRISED.format(count=3 * suites)]
    for suite in range(suites):
        is_bad = failing and suite % 10 == 9
        parts.append(
            SUITE.format(
                suite=suite, last="Fails" if is_bad else "IsOne", expected=2 if is_bad else 1
            )
        )
    return "\n".join(parts)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--failing", action="store_true")
    options = parser.parse_args()
    options.file.write_text(source(options.cases, failing=options.failing))


if __name__ == "__main__":
    main()
