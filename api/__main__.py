"""`python -m api`: serves the API on PORT, on every address of the machine."""

import uvicorn

from settings import Settings, load


def main() -> None:
    """Runs until SIGINT or SIGTERM, then answers what has arrived."""
    port = load(Settings).port
    uvicorn.run("api.app:create_app", factory=True, host="0.0.0.0", port=port)  # noqa: S104 - a server


if __name__ == "__main__":
    main()
