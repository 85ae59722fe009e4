"""A federation of servers by invitation, as data and functions. No storage, no clock, no socket.

An *authority* (a key) says which servers may sign; *signers* (servers, by their identity keys) admit members and
revoke keys, and sign the list of all. So one signer that is lost ends nothing, and neither does the authority.

    authority ──signs──▶ signers ──sign──▶ members, revocations, and the list with a number that only grows
    invitation: a token with the authority's hash, or a spoken code: the joiner checks the signer before it
    says the secret

| module | has |
|---|---|
| `authority.py` | the federation's name; who is a signer |
| `entries.py` | a member, a revocation, and their signatures |
| `signed_list.py` | the list, as it is signed and sent, and its bounds |
| `state.py` | a server's knowledge of its federation, and the verdict on each list that comes |
| `changes.py` | a signer's acts: admit, revoke, sign; two signers at once |
| `membership.py` | the proof of being in, for HELLO and CONNECT_SERVER |
| `tokens.py` | an invitation's text |
| `invitations.py` | the inviter's side of an invitation: used once, expired |
| `sealed.py` | the authority's key with a passphrase, for a safe place |
"""
