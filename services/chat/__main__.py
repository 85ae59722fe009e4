"""`python -m services.chat`."""

from services.chat import ChatService
from shared.process import main

if __name__ == "__main__":
    main(ChatService)
