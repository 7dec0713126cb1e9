"""Ports that several processes look for at the same moment."""

from concurrent.futures import ProcessPoolExecutor

from local.ports import free_port

PORTS = 400


def _find(count: int) -> list[int]:
    return [free_port() for _ in range(count)]


def test_no_two_processes_are_given_one_port() -> None:
    with ProcessPoolExecutor(4) as processes:
        found = [port for some in processes.map(_find, [PORTS] * 4) for port in some]
    assert len(set(found)) == 4 * PORTS
