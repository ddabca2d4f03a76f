"""What the benchmarks compute and write; that they run is seen by `dev.py bench --smoke`."""

import json
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import machine, pagination, report
from benchmarks.__main__ import PARTS, parse
from benchmarks.contest import Comparison, Contest, Contestant, compared
from benchmarks.inprocess import Case, InProcess, contest_of
from benchmarks.part import Part
from benchmarks.plot import Scale, svg
from benchmarks.ratios import Figure, Result, quartiles, summarise

ROOT = Path(__file__).parent.parent
FACTS = {"date": "2026-11-21", "machine": "a processor, 2 cores", "fastapi": "0.165.0"}
TIMES = st.floats(min_value=1, max_value=1e6)


SAMPLE = InProcess(name="sample", title="A sample", about="Nothing was measured.", cases=())


def result(*, ratio: float = 1.5, aim: float | None = None) -> Result:
    return Result(
        name="a layer", against="bare", summary=summarise([100.0], [100 * ratio]), aim=aim
    )


def test_the_ratio_is_the_median_of_the_rounds_ratios() -> None:
    """Not the ratio of the medians, which would be 2."""
    summary = summarise([100, 200, 400], [110, 480, 400])

    assert summary.ratio == 1.1
    assert summary.added_us == 10
    assert (summary.baseline_us, summary.candidate_us) == (200, 400)
    assert summary.rounds == 3


def test_the_spread_is_that_of_the_rounds_ratios() -> None:
    summary = summarise([10, 10, 10, 10, 10], [10, 11, 12, 13, 90])

    assert (summary.lower_quartile, summary.upper_quartile) == (1.1, 1.3)


def test_one_round_has_no_spread() -> None:
    assert quartiles([1.2]) == (1.2, 1.2)


def test_no_rounds_are_no_result() -> None:
    with pytest.raises(ValueError, match="0 rounds were measured"):
        summarise([], [])


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        summarise([1, 2], [1])


@given(st.lists(TIMES, min_size=1, max_size=20), st.floats(min_value=1, max_value=10))
def test_a_machine_that_slows_down_evenly_does_not_change_the_ratio(
    baseline: list[float], ratio: float
) -> None:
    summary = summarise(baseline, [time * ratio for time in baseline])

    assert summary.ratio == pytest.approx(ratio)
    assert summary.lower_quartile == pytest.approx(ratio)
    assert summary.upper_quartile == pytest.approx(ratio)


@pytest.mark.parametrize(
    ("ratio", "aim", "missed"),
    [(1.04, 1.05, False), (1.05, 1.05, False), (1.06, 1.05, True), (9, None, False)],
)
def test_an_aim_is_missed_by_a_ratio_above_it(
    ratio: float, aim: float | None, *, missed: bool
) -> None:
    assert result(ratio=ratio, aim=aim).missed is missed


def test_rounds_of_all_launches_count_alike() -> None:
    contest = contest_of(Case(name="a layer", candidate="module:function", aim=1.2))
    launches = [
        {"bare": [100.0, 100.0], "a layer": [110.0, 120.0]},
        {"bare": [200.0], "a layer": [260.0]},
    ]

    [figures] = compared(contest, launches)

    assert (figures.name, figures.against, figures.aim) == ("a layer", "bare", 1.2)
    assert figures.summary.rounds == 3
    assert figures.summary.ratio == 1.2


def test_what_is_not_installed_is_left_out_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    contest = Contest(
        contestants={
            "ours": Contestant(make="module:ours"),
            "theirs": Contestant(make="module:theirs", package="no_such_package"),
        },
        comparisons=[Comparison(candidate="ours", baseline="theirs")],
    )

    assert list(contest.present()) == ["ours"]
    assert compared(contest, [{"ours": [1.0]}]) == []
    assert "Left out: theirs; no_such_package is not installed." in capsys.readouterr().err


def test_results_are_written_as_a_table(tmp_path: Path) -> None:
    report.write(tmp_path / "results", SAMPLE, [result()], FACTS)

    lines = (tmp_path / "results" / "sample.md").read_text().splitlines()
    assert lines[:3] == ["### A sample", "", "Nothing was measured."]
    assert "| a layer | bare | 150.0 | +50.0 | 1.500 | 1.500 to 1.500 |  |" in lines
    assert lines[-1] == "Measured on 2026-11-21: machine a processor, 2 cores; fastapi 0.165.0."


def test_results_are_written_unrounded_for_programs(tmp_path: Path) -> None:
    report.write(tmp_path, SAMPLE, [result(ratio=1.23456, aim=1.2)], FACTS)

    written = json.loads((tmp_path / "sample.json").read_text())
    assert (written["part"], written["facts"]) == ("sample", FACTS)
    [figures] = written["results"]
    assert (figures["name"], figures["aim"], figures["missed"]) == ("a layer", 1.2, True)
    assert figures["summary"]["ratio"] == pytest.approx(1.23456)


@pytest.mark.parametrize(
    ("aim", "verdict"), [(1.5, "≤ 1.50 pass"), (1.45, "≤ 1.45 **missed**"), (None, "")]
)
def test_the_table_says_whether_an_aim_is_reached(aim: float | None, verdict: str) -> None:
    assert report.verdict(result(ratio=1.5, aim=aim)) == verdict


def test_missed_aims_are_told_one_a_line() -> None:
    results = [result(ratio=1.5, aim=1.4), result(ratio=1.3, aim=1.4), result(ratio=2)]

    assert report.missed_aims(results) == ["a layer against bare: 1.500, aim 1.40"]


def test_without_a_name_all_parts_are_measured() -> None:
    assert parse([]).parts == ["stack", "server", "pagination", "database", "auth"]


def test_single_parts_can_be_asked_for() -> None:
    assert parse(["server", "--smoke"]).parts == ["server"]


def test_an_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        parse(["sevrer"])

    assert "no part 'sevrer'; choose from stack, server, pagination" in capsys.readouterr().err


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_each_part_has_a_page_fragment_that_the_docs_include(part: Part) -> None:
    page = (ROOT / "docs" / "benchmarks.md").read_text()

    assert f'--8<-- "benchmarks/results/{part.name}.md"' in page
    assert (ROOT / "benchmarks" / "results" / f"{part.name}.md").is_file()


def test_facts_name_versions() -> None:
    facts = machine.facts()

    assert facts["fastapi"] == version("fastapi")
    assert machine.version_of("no-such-package") == "not installed"


def test_facts_name_the_processor_only_where_the_system_tells_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "CPU_FACTS", Path("no/such/file"))
    monkeypatch.setattr("platform.machine", lambda: "riscv64")

    assert machine.processor() == "riscv64"


def test_facts_name_the_processors_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text("processor\t: 0\nmodel name\t: A Processor 9000\ncache size\t: 1 KB\n")
    monkeypatch.setattr(machine, "CPU_FACTS", facts)

    assert machine.processor() == "A Processor 9000"


def test_figures_have_a_table_of_their_own() -> None:
    figure = Figure(
        name="log-ins", what="peak memory", unit="MiB", values=[90, 100, 130], aim=120, table="Load"
    )

    lines = report.tables([result(), figure])

    assert "| measured | figure | median | quartiles | aim |" in lines
    assert "| log-ins | peak memory | 100.0 MiB | 95.0 to 115.0 | ≤ 120.00 pass |" in lines
    assert "**Load**" in lines


def test_a_figure_above_its_aim_is_missed() -> None:
    figure = Figure(name="export", what="peak memory", unit="MiB", values=[41], aim=40, table="CSV")

    assert report.missed_aims([figure]) == ["CSV: export, peak memory: 41.0 MiB, aim 40.0"]


def depth_results() -> list[Result]:
    times = {
        "by cursor": {"tied, 100": [(500.0, 500.0)], "tied, 990000": [(500.0, 700.0)]},
        "by OFFSET": {"homogeneous, 100": [(500.0, 600.0)], "homogeneous, 990000": [(500.0, 4e5)]},
    }
    depths = {100: "100", 990_000: "990,000"}
    return list(pagination.results_of_depth("A page, SQLite", times, depths))


def test_only_the_deepest_page_by_cursor_has_an_aim() -> None:
    missed = report.missed_aims(depth_results())

    assert missed == [
        "A page, SQLite: by cursor, tied keys, after 990,000 against page two: 1.400, aim 1.30"
    ]


def test_cost_over_depth_is_drawn_for_each_database_that_was_there(tmp_path: Path) -> None:
    report.write(tmp_path, pagination.PART, depth_results(), FACTS)

    assert [file.name for file in sorted(tmp_path.glob("*.svg"))] == ["pagination-sqlite.svg"]
    drawn = ET.fromstring((tmp_path / "pagination-sqlite.svg").read_text())
    assert len(drawn.findall("{*}circle")) == 4


def test_a_scale_reaches_from_power_to_power_of_ten() -> None:
    scale = Scale([200, 990_000], 0, 400)

    assert scale.ticks() == [100, 1000, 10_000, 100_000, 1_000_000]
    assert (scale(100), scale(10_000), scale(1_000_000)) == (0, 200, 400)


def test_names_of_lines_that_end_at_one_place_do_not_cover_each_other() -> None:
    drawn = ET.fromstring(svg("Two", {"a": [(1, 1), (10, 1)], "b": [(1, 1), (10, 1)]}))

    heights = {one.text: one.get("y") for one in drawn.findall("{*}text")}
    assert heights["a"] != heights["b"]
