"""Tables as text, Markdown and HTML."""

from stvg_jax.data_pipeline.datasets.dataset import MEASURES
from stvg_jax.eval.tables import Table
from stvg_jax.grounding.evaluation.metrics import SAMPLED, Summary
from stvg_jax.grounding.evaluation.table import CONVENTION, effect_table, given_interval_table, results_table

TABLE = Table(
    title="A & B",
    groups=(("one <1>", 2), ("two", 1)),
    columns=("", "x", "long", "z>"),
    rows=(("known <k>", "1.0", "2", "3"), ("mine", "10", "", "5&6")),
    ours=1,
    notes=("note <n>",),
)


def test_text():
    assert TABLE.text().splitlines() == [
        "A & B",
        "           one <1>    two",
        "             x  long   z>",
        "-------------------------",
        "known <k>  1.0     2    3",
        "-------------------------",
        "mine        10        5&6",
        "note <n>",
    ]


def test_text_without_groups_and_without_others():
    table = Table("title", (), ("", "a"), (("x", "1"), ("y", "2")), ours=2)
    assert table.text().splitlines() == ["title", "   a", "----", "x  1", "y  2"]
    published = Table("title", (), ("", "a"), (("x", "1"),), ours=0)
    assert published.text().splitlines() == ["title", "   a", "----", "x  1"]


def test_markdown():
    assert TABLE.markdown().splitlines() == [
        "A & B",
        "",
        "|  | one <1> x | one <1> long | two z> |",
        "|---|---:|---:|---:|",
        "| known <k> | 1.0 | 2 | 3 |",
        "| **mine** | **10** |  | **5&6** |",
        "",
        "note <n>",
    ]


def test_html():
    assert TABLE.html() == (
        "<table><caption>A &amp; B</caption><thead>"
        '<tr><th></th><th colspan="2" scope="colgroup">one &lt;1&gt;</th><th colspan="1" scope="colgroup">two</th></tr>'
        '<tr><th scope="col"></th><th scope="col">x</th><th scope="col">long</th><th scope="col">z&gt;</th>'
        "</tr></thead>\n"
        '<tbody><tr><th scope="row">known &lt;k&gt;</th><td>1.0</td><td>2</td><td>3</td></tr>\n'
        '<tr class="ours"><th scope="row">mine</th><td>10</td><td></td><td>5&amp;6</td></tr>\n'
        '</tbody></table><p class="note">note &lt;n&gt;</p>'
    )
    assert "colgroup" not in Table("t", (), ("", "a"), (("x", "1"),), ours=1).html()


def summary(samples: int, value: float) -> Summary:
    return Summary(samples, dict.fromkeys((*MEASURES, "gt_m_vIoU", "gt_vIoU@0.3", "gt_vIoU@0.5"), value))


def test_kinds_that_no_benchmark_knows_stand_behind_its_own():
    table = results_table({"narrative": summary(3, 0.125), "declarative": summary(1160, 0.5)}, "hcstvg1", "mine")
    assert table.groups == (("Declarative", 4), ("Narrative", 4))
    assert table.rows[-1] == ("mine", *["50.0"] * 4, *["12.5"] * 4)
    assert table.rows[0][5:] == ("-",) * 4
    assert table.ours == 1
    assert table.notes == (CONVENTION,)


def test_boxes_alone_are_all_ours():
    table = given_interval_table({"declarative": summary(1234, 0.25)})
    assert table.columns == ("", "samples", "m_vIoU", "vIoU@0.3", "vIoU@0.5")
    assert table.rows == (("declarative", "1,234", "25.0", "25.0", "25.0"),)
    assert table.ours == 1


def test_own_measures_stand_below_figures_of_the_same_measures():
    table = results_table({"declarative": summary(1160, 0.5)}, "hcstvg1", "mine", own=SAMPLED)
    assert table.title == "HC-STVG v1, test: TubeDETR's own measures"
    assert table.rows == (("TubeDETR (CVPR 2022)", "43.7", "32.4", "49.8", "23.5"), ("mine", *["50.0"] * 4))
    assert table.notes == (SAMPLED.note,)
    assert results_table({"declarative": summary(5, 0.5)}, None, "mine", "toy", own=SAMPLED).rows == (
        ("mine", *["50.0"] * 4),
    )


def test_the_effect_of_a_change():
    before = {f"{kind}/{name}": 0.5 for kind in ("declarative", "interrogative") for name in (*MEASURES, "gt_m_vIoU")}
    table = effect_table("title", ("with", before | {"m_vIoU": 0.5}), ("without", {name: 0.35 for name in before}))
    assert table.groups == (("Declarative", 4), ("Interrogative", 4))
    assert table.columns == ("", *MEASURES, *MEASURES)
    assert table.rows == (("with", *["50.0"] * 8), ("without", *["35.0"] * 8), ("difference", *["-15.0"] * 8))
