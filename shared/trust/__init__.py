"""Trust: keys, certificates, proofs and pins as data and functions. No storage, no clock, no socket.

| module | has |
|---|---|
| `signed_bytes.py` | the one form of all that is signed: a domain tag, then fields with their lengths |
| `keys.py` | Ed25519 keys of nodes and devices |
| `mnemonics.py` | a key as eight words, for people who compare it |
| `certificates.py` | P-256 leaves for TLS, endorsed by a node's key |
| `proofs.py` | HELLO of the side that accepts, and the proof in CONNECT of the side that dials |
| `pairing.py` | SPAKE2: two keys come to know each other by a spoken code |
| `authors.py` | the proofs of messages and statuses: who wrote, who answered |
| `replays.py` | which numbers of a device came already |
| `announcements.py` | announcements that a node signs, for one request each |
| `pins.py` | name → key, and the verdict on a key that somebody shows |
| `server_trust.py` | all that is known of servers' keys together: pins, and the three below |
| `plain_names.py`, `claims.py`, `refusals.py` | names held in plain; who claimed names; what was refused |
| `ages.py` | how much time passed, whatever the clock says |
| `names.py` | the names of a server's users: who used each, and which devices own it |
| `admission.py` | the table of who may use a name |
| `guesses.py` | wrong passwords, and how long who guesses must wait |
| `devices.py` | device lists: which keys speak for a user |
| `tokens.py` | session tokens: the home server's word that it let a client in |
| `assurance.py` | the one answer to "who is this, and how do we know" |
"""
