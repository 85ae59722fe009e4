"""`python -m services.chat`."""

from parley.services.chat.service import ChatService
from parley.shared.service.process import main

if __name__ == "__main__":
    main(ChatService)
