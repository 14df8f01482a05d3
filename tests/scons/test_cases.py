"""Cases that an SConstruct declares, and what they read from standard input."""

import pytest

from tests.support.project import Project

ECHOES = """\
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **values) {
    char line[100] = "nothing";
    if (!fgets(line, sizeof line, stdin)) line[7] = 0;
    printf("%d arguments, read %s\\n", count - 1, line);
    return atoi(values[count - 1]);
}
"""


@pytest.fixture
def echoes(project: Project) -> Project:
    return project.write(echoes_dot_c=ECHOES, in_dot_txt="a line of input\n")


def test_a_declared_case_adds_its_arguments(echoes: Project) -> None:
    echoes.sconstruct(
        "program = env.Program('echoes', 'echoes.c')\n"
        "env.MaelstromTest('few', program, arguments=['x'],"
        " cases={'good': '0', 'bad': ['y', '3'], 'not now': ['77']})\n"
    )
    ran = echoes.scons("test")
    assert ran.status == 2
    assert ran.has("1 passed", "1 failed", "1 skipped", "bad: exited with status 3", "3 arguments")


def test_a_skipped_case_is_not_taken_from_the_record(echoes: Project) -> None:
    echoes.sconstruct(
        "program = env.Program('echoes', 'echoes.c')\n"
        "env.MaelstromTest('few', program, cases={'good': '0', 'bad': '3', 'not now': '77'})\n"
    )
    assert echoes.scons("test").has("1 passed", "1 failed", "1 skipped")
    assert echoes.scons("test").has("1 passed (1 from the record)", "1 failed", "1 skipped")


def test_a_list_of_cases_is_their_arguments(echoes: Project) -> None:
    echoes.sconstruct(
        "program = env.Program('echoes', 'echoes.c')\n"
        "env.MaelstromTest('few', program, cases=['0', '00'])\n"
    )
    assert echoes.scons("test").has("2 passed")


def test_standard_input_is_a_file_and_a_dependency(echoes: Project) -> None:
    echoes.sconstruct(
        "program = env.Program('echoes', 'echoes.c')\n"
        "env.MaelstromTest('reads', program, arguments=['1'], stdin='in.txt')\n"
        "env.MaelstromTest('again', program, arguments=['0'], stdin='in.txt')\n"
    )
    ran = echoes.scons("-k", "test")
    assert ran.has("read a line of input", "1 passed", "1 failed")
    echoes.put("in.txt", "another line\n")
    assert echoes.scons("-k", "test").has("read another line", "1 passed", "1 failed")


@pytest.mark.parametrize(
    ("keywords", "complaint"),
    [
        ("cases=[]", "name at least one"),
        ("cases={'': '1'}", "none without a name"),
        ("cases=[1]", "is not a string"),
        ("cases=['1'], framework='gtest'", "gtest lists its cases by itself"),
        ("stdin='missing.txt'", "missing.txt"),
    ],
)
def test_a_mistake_is_told(echoes: Project, keywords: str, complaint: str) -> None:
    echoes.sconstruct(
        "program = env.Program('echoes', 'echoes.c')\n"
        f"env.MaelstromTest('wrong', program, {keywords})\n"
    )
    ran = echoes.scons("test")
    assert ran.status == 2
    assert ran.has("wrong", complaint)


def test_without_the_cache_every_case_is_run_and_says_so(echoes: Project) -> None:
    echoes.sconstruct(
        "program = env.Program('echoes', 'echoes.c')\n"
        "env.MaelstromTest('two', program, cases={'good': '0', 'fine': '00'})\n"
    )
    assert echoes.scons("test").has("2 passed")
    assert echoes.scons("test").has("`test' is up to date")
    for words, environment in (
        (("--maelstrom-no-cache",), {}),
        ((), {"MAELSTROM_CACHE": "0"}),
    ):
        ran = echoes.scons("test", "--maelstrom-junit=r.xml", *words, **environment)
        assert ran.status == 0
        assert ran.has("2 passed")
        assert "record" not in ran.out
        report = (echoes.root / "r.xml").read_text()
        assert report.count("the cache is not used") == 2
        assert 'name="cached" value="true"' not in report
