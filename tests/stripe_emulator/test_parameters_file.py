from .generate_parameters import TARGET, generate


def test_the_generated_parameters_fit_the_pinned_sdk() -> None:
    assert TARGET.read_text("utf-8") == generate(), (
        "run: python -m tests.stripe_emulator.generate_parameters"
    )
