"""`python -m services.typing`."""

from services.typing import TypingService
from shared.process import main

if __name__ == "__main__":
    main(TypingService)
