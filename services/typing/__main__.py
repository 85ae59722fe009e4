"""`python -m services.typing`."""

from parley.services.typing import TypingService
from parley.shared.service.process import main

if __name__ == "__main__":
    main(TypingService)
