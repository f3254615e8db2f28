"""What the pages say of the templates for real checkpoints is what those hold."""

from __future__ import annotations

from tools.templates import __main__ as templates
from tools.templates import table


def test_the_table_of_start_values_is_that_of_the_templates():
    text = table.PAGE.read_text(encoding="utf-8")
    assert table.BETWEEN.findall(text) == [table.rows()]


def test_names_are_those_of_families_and_tasks_and_every_file_is_there():
    written = {file.stem for file in templates.FOLDER.glob("*.json")}
    assert templates.templates().keys() <= written
