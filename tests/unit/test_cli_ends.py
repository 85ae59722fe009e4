"""The exit code of a command that ends in Typer's hands."""

import pytest
import typer

from parley.cli import main


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt, 130), (typer.Exit(1), 1), (typer.Exit(0), None), (None, None)]
)
def test_what_ends_before_its_coroutine_runs_has_its_code(monkeypatch, raised, code):
    app = typer.Typer()

    @app.command()
    def command(word: str):  # noqa: ARG001 - without one its help is shown
        if raised is not None:
            raise raised

    monkeypatch.setattr(main, "_program", lambda _given: typer.main.get_command(app))
    if code is None:
        main.main(["now"])
    else:
        with pytest.raises(SystemExit) as end:
            main.main(["now"])
        assert end.value.code == code
