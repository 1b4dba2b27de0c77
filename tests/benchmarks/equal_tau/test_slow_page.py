"""The page says what stands in the figures."""

from benchmarks.equal_tau.slow_page import slow_blocks
from benchmarks.page import PageSection, render


def row(stage, **figures):
    about = {"copies": 4, "stage": stage, "residual": 0.0125, "budget_s": 30.0}
    return about | figures


def test_ratios_and_what_the_eigenvalue_is_off_by():
    measured = {"rate": 1.0, "lif": 1.5, "fixed": 1.2}
    rows = [
        row(
            stage,
            network="modes",
            pattern=0,
            tau=1.0,
            measured=tau,
            again=1.1 * tau,
            sd=0.3 * tau,
            kept=None if stage == "fixed" else 0.8,
        )
        for stage, tau in measured.items()
    ]
    angles = {"diffusion": 1.5e-3, "expected_deg": 4.4, "height": 10.8}
    rows += [
        row(stage, network="ring", measured=3e-3, moved_deg=9.0, **angles)
        for stage in measured
    ]
    text = render(PageSection("Slow", slow_blocks(rows)))
    lines = [line.split("|") for line in text.splitlines()]
    cells = [[cell.strip() for cell in line[1:-1]] for line in lines if len(line) > 2]
    # λ: 0.97 and 1 − 0.03/1.5
    expected = ["slow modes", "1.00", "4", "1.00", "1.50", "1.20", "1.50", "0.80"]
    assert [*expected, "1.10", "1.50", "0.0100", "0.0125"] in cells
    assert "by copies: 30 s for slow modes × 4, ring × 4." in text
    assert ["slow modes", "1.00", "4", "0.80", "0.80", "–"] in cells
    assert ["4", "lif", "1.50", "3.00", "4.4", "9.0", "10.80"] in cells
