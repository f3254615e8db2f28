"""Labels are chosen among those that the connected network has, in both renderers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.web.desk import Desk, workflow

LIST = ".eg-labels"
# (class, widget, input, loader, a label of the loader's network)
NODES = [
    ("EGEnergyClassifier", "label", "network", "EGLoadClassifier", "purple"),
    ("EGEnergyNoisyClassifier", "label", "network", "EGLoadNoisyClassifier", "purple"),
    ("EGEnergySegmentation", "label", "network", "EGLoadSegmenter", "background"),
    ("EGEnergyFaceIdentity", "detector_label", "detector", "EGLoadDetector", "square"),
]
CONNECT = """([from, to, input]) => {
    const [source, target] = [from, to].map((id) => app.graph.getNodeById(id));
    source.connect(0, target, target.inputs.findIndex(({ name }) => name === input));
}"""


@pytest.fixture(params=["classic", "Nodes 2.0"])
def either(desk: Desk, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """The window in one of its renderers."""
    modern = request.param != "classic"
    if modern and desk.version < (1, 30):
        pytest.skip("Nodes 2.0 of this frontend shows no extension's elements yet")
    desk.setting("Comfy.VueNodes.Enabled", modern)
    yield desk
    desk.setting("Comfy.VueNodes.Enabled", False)


@pytest.mark.parametrize(("kind", "widget", "name", "loader", "label"), NODES)
def test_a_label_is_chosen_from_those_of_the_network(
    either: Desk, kind: str, widget: str, name: str, loader: str, label: str
) -> None:
    desk = either
    node = desk.add(kind, at=(500, 80), **{widget: "dragon"})
    expect(desk.find(LIST)).to_be_disabled()
    desk.run(CONNECT, [desk.add(loader, at=(100, 80)), node, name])
    expect(desk.find(LIST)).to_be_enabled()
    expect(desk.find(LIST)).to_have_attribute("aria-invalid", "true")
    expect(desk.find(f"{LIST} option").first).to_contain_text("dragon")
    desk.rest(LIST)
    desk.find(LIST).select_option(label)
    desk.comes(lambda: desk.values(node)[widget], label)
    expect(desk.find(LIST)).to_have_attribute("aria-invalid", "false")
    expect(desk.find(LIST)).to_have_value(label)


def test_the_list_follows_what_is_typed_and_what_is_loaded(desk: Desk) -> None:
    desk.open(workflow("classifier-guided"))
    node = desk.id_of("EGEnergyClassifier")
    expect(desk.find(LIST)).to_have_value(desk.values(node)["label"])
    desk.run(
        """id => {
            const widget = app.graph.getNodeById(id).widgets.find(({ name }) => name === "label");
            widget.value = "circle";
            widget.callback(widget.value);
        }""",
        node,
    )
    expect(desk.find(LIST)).to_have_value("circle")
    assert desk.saved()["nodes"]


INTO_SUBGRAPH = """([inner]) => {
    const node = app.graph.getNodeById(inner);
    return Boolean(app.graph.convertToSubgraph?.(new Set([node])));
}"""


def test_the_network_is_found_across_the_border_of_a_subgraph(desk: Desk) -> None:
    node, loader = desk.add("EGEnergyClassifier", at=(500, 80)), desk.add("EGLoadClassifier")
    desk.run(CONNECT, [loader, node, "network"])
    expect(desk.find(LIST)).to_be_enabled()
    if not desk.run(INTO_SUBGRAPH, [node]):
        pytest.skip("this frontend makes no subgraphs by script")
    inner = """async () => {
        const { labelsOf } = await import("/extensions/energy-guidance/labels.js");
        const outer = app.graph.nodes.find((one) => one.subgraph);
        return labelsOf(outer.subgraph.nodes[0], "network");
    }"""
    assert "purple" in desk.run(inner)


@pytest.mark.parametrize(
    ("kind", "loader", "label"),
    [
        ("EGEnergyDetection", "EGLoadDetector", "square"),
        ("EGEnergySegmentation", "EGLoadSegmenter", "square"),
    ],
)
def test_boxes_are_offered_the_labels_of_the_network(
    desk: Desk, kind: str, loader: str, label: str
) -> None:
    node = desk.add(kind, at=(500, 80), boxes="")
    desk.run(CONNECT, [desk.add(loader, at=(100, 80)), node, "network"])
    desk.rest(".eg-add")
    desk.find(".eg-add").focus()
    offered = "() => [...document.querySelector('.eg-add').list.options].map((one) => one.value)"
    desk.until(f"() => ({offered})().length > 0")
    assert label in desk.run(offered)
