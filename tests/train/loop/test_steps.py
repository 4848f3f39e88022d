"""The file of a run's steps."""

from __future__ import annotations

from pathlib import Path

from train.loop.steps import STEPS, add_step, keep_steps, read_steps


def test_steps_after_the_saved_one_and_a_half_written_line_are_left_out_when_a_run_goes_on(tmp_path: Path) -> None:
    file = tmp_path / STEPS
    keep_steps(file, 0)
    for step in (1, 2, 3):
        add_step(file, {"step": step, "loss": 1 / step})
    with file.open("a") as out:
        out.write('{"step": 4, "lo')
    assert [figures["step"] for figures in read_steps(file)] == [1, 2, 3]
    keep_steps(file, 2)
    add_step(file, {"step": 3, "loss": 0.5})
    assert list(read_steps(file)) == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": 0.5}]
