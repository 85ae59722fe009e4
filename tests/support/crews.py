"""People in a group, at durable servers: their clients behave as the client's ChatFeature does with them."""

from collections import defaultdict

from parley.services.chat.message.statuses import INTERIM
from parley.shared.addresses import Group, User
from parley.shared.wire.framing import read_datagram
from parley.shared.wire.messages import decode, encode, pb
from tests.support.durable_people import DurablePerson, DurableWorld
from tests.support.people import NUMBERS, Client
from tests.support.sinks import group_ask, message


class GroupClient(Client):
    """One connection of a member, or of somebody who wants to be one."""

    def __init__(self, person, *, acknowledges):
        super().__init__(person, acknowledges=acknowledges)
        self.acks = []
        """Every MESSAGE_ACK that came."""
        self.answers = []
        """Every GROUP_MEMBERS that came."""

    def _arrived_at_server(self, frame):
        self.person.home.from_client(self.person.user, frame, self.down)

    def _arrived(self, frame):
        if frame.name == "MESSAGE":
            self._shown(decode(frame, pb.ChatMessage))
        elif frame.name == "MESSAGE_ACK":
            self.acks.append(decode(frame, pb.ChatMessageResponse))
            self.person.hear(self.acks[-1])
        else:
            self.answers.append(decode(frame, pb.GroupMembers))

    def _shown(self, came):
        key = (User.of(came.author), came.messageSnowflake, self.person.user)
        self.received.append(key)
        self.person.world.note_arrived(key)
        self.unacknowledged.append(key)
        if self.acknowledges:
            self.acknowledge()

    def acknowledge(self):
        """Answer for the oldest message that is not answered for, and say whose it was."""
        author, snowflake, user = self.unacknowledged.popleft()
        answer = pb.ChatMessageResponse(messageSnowflake=snowflake, author=author.to_pb())
        answer.statuses.add(user=user.to_pb(), status="DELIVERED")
        self.up.send(encode("MESSAGE_ACK", answer))


class GroupPerson(DurablePerson):
    """Somebody who writes to the group; `heard` has each member's statuses, and those of the group itself."""

    client = GroupClient

    def __init__(self, world, user):
        super().__init__(world, user)
        self.complete = set()
        """The numbers of messages of which all members' statuses were told."""
        self.told = defaultdict(dict)
        """Number → member → the last status, where no interim one replaces a final one."""

    def hear(self, ack):
        number, of_group = ack.messageSnowflake, ack.HasField("group")
        for each in ack.statuses:
            whose = User.of(each.user)
            self.heard[self.user, number, whose].append(each.status)
            if of_group and (each.status not in INTERIM or self.told[number].get(whose, each.status) in INTERIM):
                self.told[number][whose] = each.status
        if ack.complete:
            self.complete.add(number)

    def has_final(self, key):
        _author, number, group = key
        of_members = self.told[number].values()
        of_all = number in self.complete and of_members and not INTERIM.intersection(of_members)
        return bool(of_all) or super().has_final((self.user, number, User(*group)))

    def write(self, to=None, text=""):
        """Write to the group, or to another one; the message's number."""
        number, group = NUMBERS[len(self.outbox)], to or self.world.group
        raw = encode("MESSAGE", message(self.user, number, None, text, group=group.to_pb()))
        self.outbox[self.user, number, group] = raw
        for client in self.clients[:1]:
            client.up.send(raw)
        return number

    def ask(self, name, group=None, request=1, **fields):
        """JOIN_GROUP, LEAVE_GROUP, QUERY_GROUP_MEMBERS or CHANGE_GROUP, once, over the first client there is."""
        asked = group_ask(name, group or self.world.group, request, **fields)
        for client in self.clients[:1]:
            client.up.send(asked)


class GroupWorld(DurableWorld):
    """Servers that may be killed at any moment, and one group at one of them."""

    person_type = GroupPerson

    def __init__(self, names, group, *, mailbox=1000):
        self.group = Group.parse(group)
        super().__init__(names, mailbox=mailbox, servers=[self.group.server_id])

    def __getitem__(self, user_id):
        return next(person for person in self.people if person.user.user_id == user_id)

    @property
    def home(self):
        """The group's server."""
        return self.nodes[self.group.server_id]

    def found(self, members):
        """Everybody is there, and these are in the group."""
        self.bring_up()
        self.carry_all()
        for person in self.people:
            if person.user.user_id in members:
                person.ask("JOIN_GROUP")
        self.carry_all()

    def carry_all(self):
        """Everything arrives; and so do statuses that wait for others of the same message."""
        super().carry_all()
        while waits := [node for node in self.nodes.values() if node.waits_until is not None]:
            for node in waits:
                node.pass_time(max(0.0, node.waits_until - node.now))
            super().carry_all()

    def note_lost(self, raw, author=None):
        if read_datagram(raw).name == "MESSAGE_ACK":
            super().note_lost(raw, author)

    def _note_lies(self):
        """What is said of the group itself is no member's status."""
        group = User(*self.group)
        kept = {
            (row.author, row.snowflake, row.recipient)
            for node in self.nodes.values()
            for row in node.disk.messages.values()
        }
        for author in self.people:
            for key, heard in author.heard.items():
                is_member = key[2] != group
                if heard and is_member and key not in self.arrived and key not in kept:
                    self.lies.append((key, list(heard)))
