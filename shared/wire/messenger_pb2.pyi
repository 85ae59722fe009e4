from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class User(_message.Message):
    __slots__ = ("userId", "serverId")
    USERID_FIELD_NUMBER: _ClassVar[int]
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    userId: str
    serverId: str
    def __init__(self, userId: _Optional[str] = ..., serverId: _Optional[str] = ...) -> None: ...

class Group(_message.Message):
    __slots__ = ("groupId", "serverId")
    GROUPID_FIELD_NUMBER: _ClassVar[int]
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    groupId: str
    serverId: str
    def __init__(self, groupId: _Optional[str] = ..., serverId: _Optional[str] = ...) -> None: ...

class UserOfGroup(_message.Message):
    __slots__ = ("user", "group")
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    user: User
    group: Group
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class DiscoverServer(_message.Message):
    __slots__ = ("nonce", "padding")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    PADDING_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    padding: bytes
    def __init__(self, nonce: _Optional[bytes] = ..., padding: _Optional[bytes] = ...) -> None: ...

class Mark(_message.Message):
    __slots__ = ("version", "instanceId", "capabilities")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    INSTANCEID_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    version: str
    instanceId: str
    capabilities: int
    def __init__(self, version: _Optional[str] = ..., instanceId: _Optional[str] = ..., capabilities: _Optional[int] = ...) -> None: ...

class ServerAnnounce(_message.Message):
    __slots__ = ("serverId", "feature", "mark", "nonce", "ask", "identity", "membership")
    class Feature(_message.Message):
        __slots__ = ("featureName", "port", "udpPort", "linked")
        FEATURENAME_FIELD_NUMBER: _ClassVar[int]
        PORT_FIELD_NUMBER: _ClassVar[int]
        UDPPORT_FIELD_NUMBER: _ClassVar[int]
        LINKED_FIELD_NUMBER: _ClassVar[int]
        featureName: str
        port: int
        udpPort: int
        linked: _containers.RepeatedScalarFieldContainer[str]
        def __init__(self, featureName: _Optional[str] = ..., port: _Optional[int] = ..., udpPort: _Optional[int] = ..., linked: _Optional[_Iterable[str]] = ...) -> None: ...
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    ASK_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    feature: _containers.RepeatedCompositeFieldContainer[ServerAnnounce.Feature]
    mark: Mark
    nonce: bytes
    ask: bytes
    identity: KeyProof
    membership: Membership
    def __init__(self, serverId: _Optional[str] = ..., feature: _Optional[_Iterable[_Union[ServerAnnounce.Feature, _Mapping]]] = ..., mark: _Optional[_Union[Mark, _Mapping]] = ..., nonce: _Optional[bytes] = ..., ask: _Optional[bytes] = ..., identity: _Optional[_Union[KeyProof, _Mapping]] = ..., membership: _Optional[_Union[Membership, _Mapping]] = ...) -> None: ...

class KeyProof(_message.Message):
    __slots__ = ("key", "signature")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    signature: bytes
    def __init__(self, key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("nonce", "key", "serverId", "signature", "membership")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    key: bytes
    serverId: str
    signature: bytes
    membership: Membership
    def __init__(self, nonce: _Optional[bytes] = ..., key: _Optional[bytes] = ..., serverId: _Optional[str] = ..., signature: _Optional[bytes] = ..., membership: _Optional[_Union[Membership, _Mapping]] = ...) -> None: ...

class Device(_message.Message):
    __slots__ = ("key", "name", "added", "how", "by", "signature")
    class How(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CLAIMED: _ClassVar[Device.How]
        CONFIRMED: _ClassVar[Device.How]
        APPROVED: _ClassVar[Device.How]
        RESET: _ClassVar[Device.How]
        PASSWORD: _ClassVar[Device.How]
    CLAIMED: Device.How
    CONFIRMED: Device.How
    APPROVED: Device.How
    RESET: Device.How
    PASSWORD: Device.How
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    name: str
    added: int
    how: Device.How
    by: bytes
    signature: bytes
    def __init__(self, key: _Optional[bytes] = ..., name: _Optional[str] = ..., added: _Optional[int] = ..., how: _Optional[_Union[Device.How, str]] = ..., by: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class DeviceList(_message.Message):
    __slots__ = ("user", "devices", "number", "expires", "reset", "sessionsFrom", "signature", "revoked")
    USER_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    SESSIONSFROM_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    REVOKED_FIELD_NUMBER: _ClassVar[int]
    user: User
    devices: _containers.RepeatedCompositeFieldContainer[Device]
    number: int
    expires: int
    reset: bool
    sessionsFrom: int
    signature: bytes
    revoked: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., devices: _Optional[_Iterable[_Union[Device, _Mapping]]] = ..., number: _Optional[int] = ..., expires: _Optional[int] = ..., reset: _Optional[bool] = ..., sessionsFrom: _Optional[int] = ..., signature: _Optional[bytes] = ..., revoked: _Optional[_Iterable[bytes]] = ...) -> None: ...

class DevicesOf(_message.Message):
    __slots__ = ("user",)
    USER_FIELD_NUMBER: _ClassVar[int]
    user: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ChangeDevices(_message.Message):
    __slots__ = ("request", "add", "revoke")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    ADD_FIELD_NUMBER: _ClassVar[int]
    REVOKE_FIELD_NUMBER: _ClassVar[int]
    request: int
    add: Device
    revoke: bytes
    def __init__(self, request: _Optional[int] = ..., add: _Optional[_Union[Device, _Mapping]] = ..., revoke: _Optional[bytes] = ...) -> None: ...

class Devices(_message.Message):
    __slots__ = ("request", "ok", "list")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    request: int
    ok: bool
    list: DeviceList
    def __init__(self, request: _Optional[int] = ..., ok: _Optional[bool] = ..., list: _Optional[_Union[DeviceList, _Mapping]] = ...) -> None: ...

class SessionToken(_message.Message):
    __slots__ = ("user", "device", "issued", "expires", "number", "signature")
    USER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ISSUED_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    user: User
    device: bytes
    issued: int
    expires: int
    number: int
    signature: bytes
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., device: _Optional[bytes] = ..., issued: _Optional[int] = ..., expires: _Optional[int] = ..., number: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Password(_message.Message):
    __slots__ = ("text",)
    TEXT_FIELD_NUMBER: _ClassVar[int]
    text: str
    def __init__(self, text: _Optional[str] = ...) -> None: ...

class Pair(_message.Message):
    __slots__ = ("step", "key", "name", "element", "confirmation", "why")
    class Step(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NO_STEP: _ClassVar[Pair.Step]
        WAITS: _ClassVar[Pair.Step]
        ENTERS: _ClassVar[Pair.Step]
        ANSWERS: _ClassVar[Pair.Step]
        CONFIRMS: _ClassVar[Pair.Step]
        ADDED: _ClassVar[Pair.Step]
        OVER: _ClassVar[Pair.Step]
    NO_STEP: Pair.Step
    WAITS: Pair.Step
    ENTERS: Pair.Step
    ANSWERS: Pair.Step
    CONFIRMS: Pair.Step
    ADDED: Pair.Step
    OVER: Pair.Step
    class Why(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NO_REASON: _ClassVar[Pair.Why]
        WRONG_CODE: _ClassVar[Pair.Why]
        EXPIRED: _ClassVar[Pair.Why]
        TRIES: _ClassVar[Pair.Why]
        NOBODY_WAITS: _ClassVar[Pair.Why]
        BUSY: _ClassVar[Pair.Why]
        NOT_ADDED: _ClassVar[Pair.Why]
    NO_REASON: Pair.Why
    WRONG_CODE: Pair.Why
    EXPIRED: Pair.Why
    TRIES: Pair.Why
    NOBODY_WAITS: Pair.Why
    BUSY: Pair.Why
    NOT_ADDED: Pair.Why
    STEP_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    step: Pair.Step
    key: bytes
    name: str
    element: bytes
    confirmation: bytes
    why: Pair.Why
    def __init__(self, step: _Optional[_Union[Pair.Step, str]] = ..., key: _Optional[bytes] = ..., name: _Optional[str] = ..., element: _Optional[bytes] = ..., confirmation: _Optional[bytes] = ..., why: _Optional[_Union[Pair.Why, str]] = ...) -> None: ...

class FederationSigner(_message.Message):
    __slots__ = ("serverId", "key", "signature")
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    key: bytes
    signature: bytes
    def __init__(self, serverId: _Optional[str] = ..., key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class FederationMember(_message.Message):
    __slots__ = ("serverId", "key", "by", "day", "how", "signature")
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    HOW_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    key: bytes
    by: bytes
    day: int
    how: str
    signature: bytes
    def __init__(self, serverId: _Optional[str] = ..., key: _Optional[bytes] = ..., by: _Optional[bytes] = ..., day: _Optional[int] = ..., how: _Optional[str] = ..., signature: _Optional[bytes] = ...) -> None: ...

class FederationRevocation(_message.Message):
    __slots__ = ("serverId", "key", "by", "day", "signature")
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    key: bytes
    by: bytes
    day: int
    signature: bytes
    def __init__(self, serverId: _Optional[str] = ..., key: _Optional[bytes] = ..., by: _Optional[bytes] = ..., day: _Optional[int] = ..., signature: _Optional[bytes] = ...) -> None: ...

class FederationContent(_message.Message):
    __slots__ = ("authority", "number", "day", "signers", "members", "revocations")
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    DAY_FIELD_NUMBER: _ClassVar[int]
    SIGNERS_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    REVOCATIONS_FIELD_NUMBER: _ClassVar[int]
    authority: bytes
    number: int
    day: int
    signers: _containers.RepeatedCompositeFieldContainer[FederationSigner]
    members: _containers.RepeatedCompositeFieldContainer[FederationMember]
    revocations: _containers.RepeatedCompositeFieldContainer[FederationRevocation]
    def __init__(self, authority: _Optional[bytes] = ..., number: _Optional[int] = ..., day: _Optional[int] = ..., signers: _Optional[_Iterable[_Union[FederationSigner, _Mapping]]] = ..., members: _Optional[_Iterable[_Union[FederationMember, _Mapping]]] = ..., revocations: _Optional[_Iterable[_Union[FederationRevocation, _Mapping]]] = ...) -> None: ...

class FederationList(_message.Message):
    __slots__ = ("federation", "number", "content", "key", "signature")
    FEDERATION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    federation: bytes
    number: int
    content: bytes
    key: bytes
    signature: bytes
    def __init__(self, federation: _Optional[bytes] = ..., number: _Optional[int] = ..., content: _Optional[bytes] = ..., key: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Membership(_message.Message):
    __slots__ = ("federation", "number", "authority", "signer", "member")
    FEDERATION_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    AUTHORITY_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    federation: bytes
    number: int
    authority: bytes
    signer: FederationSigner
    member: FederationMember
    def __init__(self, federation: _Optional[bytes] = ..., number: _Optional[int] = ..., authority: _Optional[bytes] = ..., signer: _Optional[_Union[FederationSigner, _Mapping]] = ..., member: _Optional[_Union[FederationMember, _Mapping]] = ...) -> None: ...

class JoinFederation(_message.Message):
    __slots__ = ("federation", "serverId", "identity", "secret", "element", "confirmation")
    FEDERATION_FIELD_NUMBER: _ClassVar[int]
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    SECRET_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    federation: bytes
    serverId: str
    identity: KeyProof
    secret: bytes
    element: bytes
    confirmation: bytes
    def __init__(self, federation: _Optional[bytes] = ..., serverId: _Optional[str] = ..., identity: _Optional[_Union[KeyProof, _Mapping]] = ..., secret: _Optional[bytes] = ..., element: _Optional[bytes] = ..., confirmation: _Optional[bytes] = ...) -> None: ...

class FederationAnswer(_message.Message):
    __slots__ = ("refusal", "list", "element", "confirmation")
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    LIST_FIELD_NUMBER: _ClassVar[int]
    ELEMENT_FIELD_NUMBER: _ClassVar[int]
    CONFIRMATION_FIELD_NUMBER: _ClassVar[int]
    refusal: str
    list: FederationList
    element: bytes
    confirmation: bytes
    def __init__(self, refusal: _Optional[str] = ..., list: _Optional[_Union[FederationList, _Mapping]] = ..., element: _Optional[bytes] = ..., confirmation: _Optional[bytes] = ...) -> None: ...

class AuthorProof(_message.Message):
    __slots__ = ("key", "signature", "previous", "time")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    signature: bytes
    previous: int
    time: int
    def __init__(self, key: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., previous: _Optional[int] = ..., time: _Optional[int] = ...) -> None: ...

class StatusProof(_message.Message):
    __slots__ = ("key", "signature", "time")
    KEY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    signature: bytes
    time: int
    def __init__(self, key: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., time: _Optional[int] = ...) -> None: ...

class Terms(_message.Message):
    __slots__ = ("serverId", "capabilities")
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    CAPABILITIES_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    capabilities: int
    def __init__(self, serverId: _Optional[str] = ..., capabilities: _Optional[int] = ...) -> None: ...

class Proof(_message.Message):
    __slots__ = ("nonce", "proof")
    NONCE_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    proof: bytes
    def __init__(self, nonce: _Optional[bytes] = ..., proof: _Optional[bytes] = ...) -> None: ...

class ConnectClient(_message.Message):
    __slots__ = ("user", "udpPort", "terms", "identity", "token", "password", "eventsOnLink", "pairing", "window", "deviceName")
    USER_FIELD_NUMBER: _ClassVar[int]
    UDPPORT_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PASSWORD_FIELD_NUMBER: _ClassVar[int]
    EVENTSONLINK_FIELD_NUMBER: _ClassVar[int]
    PAIRING_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    DEVICENAME_FIELD_NUMBER: _ClassVar[int]
    user: User
    udpPort: int
    terms: Terms
    identity: KeyProof
    token: SessionToken
    password: Password
    eventsOnLink: bool
    pairing: bool
    window: int
    deviceName: str
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., udpPort: _Optional[int] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., identity: _Optional[_Union[KeyProof, _Mapping]] = ..., token: _Optional[_Union[SessionToken, _Mapping]] = ..., password: _Optional[_Union[Password, _Mapping]] = ..., eventsOnLink: _Optional[bool] = ..., pairing: _Optional[bool] = ..., window: _Optional[int] = ..., deviceName: _Optional[str] = ...) -> None: ...

class Endpoint(_message.Message):
    __slots__ = ("feature", "host", "port", "udpPort", "answered")
    FEATURE_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    UDPPORT_FIELD_NUMBER: _ClassVar[int]
    ANSWERED_FIELD_NUMBER: _ClassVar[int]
    feature: str
    host: str
    port: int
    udpPort: int
    answered: bool
    def __init__(self, feature: _Optional[str] = ..., host: _Optional[str] = ..., port: _Optional[int] = ..., udpPort: _Optional[int] = ..., answered: _Optional[bool] = ...) -> None: ...

class ConnectServer(_message.Message):
    __slots__ = ("serverId", "features", "endpoints", "instanceId", "terms", "proof", "identity", "membership")
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
    INSTANCEID_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIP_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    features: _containers.RepeatedScalarFieldContainer[str]
    endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
    instanceId: str
    terms: Terms
    proof: Proof
    identity: KeyProof
    membership: Membership
    def __init__(self, serverId: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., instanceId: _Optional[str] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., identity: _Optional[_Union[KeyProof, _Mapping]] = ..., membership: _Optional[_Union[Membership, _Mapping]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("result", "serverId", "instanceId", "terms", "proof", "token", "refusal", "devices")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_ERROR: _ClassVar[ConnectResponse.Result]
        CONNECTED: _ClassVar[ConnectResponse.Result]
        IS_ALREADY_CONNECTED_ERROR: _ClassVar[ConnectResponse.Result]
    UNKNOWN_ERROR: ConnectResponse.Result
    CONNECTED: ConnectResponse.Result
    IS_ALREADY_CONNECTED_ERROR: ConnectResponse.Result
    class Refusal(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NO_REFUSAL: _ClassVar[ConnectResponse.Refusal]
        NAME_TAKEN: _ClassVar[ConnectResponse.Refusal]
        NEW_DEVICE: _ClassVar[ConnectResponse.Refusal]
        REVOKED: _ClassVar[ConnectResponse.Refusal]
        APPROVAL_NEEDED: _ClassVar[ConnectResponse.Refusal]
        PLAIN_REFUSED: _ClassVar[ConnectResponse.Refusal]
        PASSWORD_WRONG: _ClassVar[ConnectResponse.Refusal]
        SLOW_DOWN: _ClassVar[ConnectResponse.Refusal]
        SESSION_OVER: _ClassVar[ConnectResponse.Refusal]
        NO_ACCOUNT: _ClassVar[ConnectResponse.Refusal]
        NO_PROOF: _ClassVar[ConnectResponse.Refusal]
        RESET: _ClassVar[ConnectResponse.Refusal]
    NO_REFUSAL: ConnectResponse.Refusal
    NAME_TAKEN: ConnectResponse.Refusal
    NEW_DEVICE: ConnectResponse.Refusal
    REVOKED: ConnectResponse.Refusal
    APPROVAL_NEEDED: ConnectResponse.Refusal
    PLAIN_REFUSED: ConnectResponse.Refusal
    PASSWORD_WRONG: ConnectResponse.Refusal
    SLOW_DOWN: ConnectResponse.Refusal
    SESSION_OVER: ConnectResponse.Refusal
    NO_ACCOUNT: ConnectResponse.Refusal
    NO_PROOF: ConnectResponse.Refusal
    RESET: ConnectResponse.Refusal
    RESULT_FIELD_NUMBER: _ClassVar[int]
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    INSTANCEID_FIELD_NUMBER: _ClassVar[int]
    TERMS_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    DEVICES_FIELD_NUMBER: _ClassVar[int]
    result: ConnectResponse.Result
    serverId: str
    instanceId: str
    terms: Terms
    proof: Proof
    token: SessionToken
    refusal: ConnectResponse.Refusal
    devices: DeviceList
    def __init__(self, result: _Optional[_Union[ConnectResponse.Result, str]] = ..., serverId: _Optional[str] = ..., instanceId: _Optional[str] = ..., terms: _Optional[_Union[Terms, _Mapping]] = ..., proof: _Optional[_Union[Proof, _Mapping]] = ..., token: _Optional[_Union[SessionToken, _Mapping]] = ..., refusal: _Optional[_Union[ConnectResponse.Refusal, str]] = ..., devices: _Optional[_Union[DeviceList, _Mapping]] = ...) -> None: ...

class HangUp(_message.Message):
    __slots__ = ("reason",)
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_REASON: _ClassVar[HangUp.Reason]
        EXIT: _ClassVar[HangUp.Reason]
        TIMEOUT: _ClassVar[HangUp.Reason]
        PAYLOAD_LIMIT_EXCEEDED: _ClassVar[HangUp.Reason]
        MESSAGE_MALFORMED: _ClassVar[HangUp.Reason]
    UNKNOWN_REASON: HangUp.Reason
    EXIT: HangUp.Reason
    TIMEOUT: HangUp.Reason
    PAYLOAD_LIMIT_EXCEEDED: HangUp.Reason
    MESSAGE_MALFORMED: HangUp.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: HangUp.Reason
    def __init__(self, reason: _Optional[_Union[HangUp.Reason, str]] = ...) -> None: ...

class Ping(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Pong(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UnsupportedMessage(_message.Message):
    __slots__ = ("message_name",)
    MESSAGE_NAME_FIELD_NUMBER: _ClassVar[int]
    message_name: str
    def __init__(self, message_name: _Optional[str] = ...) -> None: ...

class Document(_message.Message):
    __slots__ = ("documentId", "filename", "mimeType", "data")
    DOCUMENTID_FIELD_NUMBER: _ClassVar[int]
    FILENAME_FIELD_NUMBER: _ClassVar[int]
    MIMETYPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    documentId: str
    filename: str
    mimeType: str
    data: bytes
    def __init__(self, documentId: _Optional[str] = ..., filename: _Optional[str] = ..., mimeType: _Optional[str] = ..., data: _Optional[bytes] = ...) -> None: ...

class MembersOfGroup(_message.Message):
    __slots__ = ("group", "userIds")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USERIDS_FIELD_NUMBER: _ClassVar[int]
    group: Group
    userIds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ..., userIds: _Optional[_Iterable[str]] = ...) -> None: ...

class ChatMessage(_message.Message):
    __slots__ = ("messageSnowflake", "author", "user", "group", "userOfGroup", "textContent", "document", "live_location", "edit", "proof", "revised", "inEffect", "tellRead", "assurance", "historyOff", "groupNumber", "members")
    class Assurance(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNSIGNED: _ClassVar[ChatMessage.Assurance]
        SIGNED: _ClassVar[ChatMessage.Assurance]
        UNPROVEN: _ClassVar[ChatMessage.Assurance]
        MISSING: _ClassVar[ChatMessage.Assurance]
        FORGED: _ClassVar[ChatMessage.Assurance]
        REVOKED: _ClassVar[ChatMessage.Assurance]
    UNSIGNED: ChatMessage.Assurance
    SIGNED: ChatMessage.Assurance
    UNPROVEN: ChatMessage.Assurance
    MISSING: ChatMessage.Assurance
    FORGED: ChatMessage.Assurance
    REVOKED: ChatMessage.Assurance
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USEROFGROUP_FIELD_NUMBER: _ClassVar[int]
    TEXTCONTENT_FIELD_NUMBER: _ClassVar[int]
    DOCUMENT_FIELD_NUMBER: _ClassVar[int]
    LIVE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    REVISED_FIELD_NUMBER: _ClassVar[int]
    INEFFECT_FIELD_NUMBER: _ClassVar[int]
    TELLREAD_FIELD_NUMBER: _ClassVar[int]
    ASSURANCE_FIELD_NUMBER: _ClassVar[int]
    HISTORYOFF_FIELD_NUMBER: _ClassVar[int]
    GROUPNUMBER_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    messageSnowflake: int
    author: User
    user: User
    group: Group
    userOfGroup: UserOfGroup
    textContent: str
    document: Document
    live_location: LiveLocation
    edit: Edit
    proof: AuthorProof
    revised: Revision
    inEffect: bool
    tellRead: bool
    assurance: ChatMessage.Assurance
    historyOff: bool
    groupNumber: int
    members: MembersOfGroup
    def __init__(self, messageSnowflake: _Optional[int] = ..., author: _Optional[_Union[User, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., userOfGroup: _Optional[_Union[UserOfGroup, _Mapping]] = ..., textContent: _Optional[str] = ..., document: _Optional[_Union[Document, _Mapping]] = ..., live_location: _Optional[_Union[LiveLocation, _Mapping]] = ..., edit: _Optional[_Union[Edit, _Mapping]] = ..., proof: _Optional[_Union[AuthorProof, _Mapping]] = ..., revised: _Optional[_Union[Revision, _Mapping]] = ..., inEffect: _Optional[bool] = ..., tellRead: _Optional[bool] = ..., assurance: _Optional[_Union[ChatMessage.Assurance, str]] = ..., historyOff: _Optional[bool] = ..., groupNumber: _Optional[int] = ..., members: _Optional[_Union[MembersOfGroup, _Mapping]] = ...) -> None: ...

class Edit(_message.Message):
    __slots__ = ("target", "content", "revision", "text", "deletes")
    TARGET_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DELETES_FIELD_NUMBER: _ClassVar[int]
    target: int
    content: bytes
    revision: int
    text: str
    deletes: bool
    def __init__(self, target: _Optional[int] = ..., content: _Optional[bytes] = ..., revision: _Optional[int] = ..., text: _Optional[str] = ..., deletes: _Optional[bool] = ...) -> None: ...

class Revision(_message.Message):
    __slots__ = ("messageSnowflake", "content", "revision", "proof")
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PROOF_FIELD_NUMBER: _ClassVar[int]
    messageSnowflake: int
    content: bytes
    revision: int
    proof: AuthorProof
    def __init__(self, messageSnowflake: _Optional[int] = ..., content: _Optional[bytes] = ..., revision: _Optional[int] = ..., proof: _Optional[_Union[AuthorProof, _Mapping]] = ...) -> None: ...

class ChatMessageResponse(_message.Message):
    __slots__ = ("messageSnowflake", "statuses", "author", "group", "complete", "receipt", "proofs", "historyOff", "groupNumber")
    class DeliveryStatus(_message.Message):
        __slots__ = ("user", "status")
        class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
            __slots__ = ()
            UNKNOWN_STATUS: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            DELIVERED: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            OTHER_ERROR: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            USER_AWAY: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            USER_NOT_FOUND: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            OTHER_SERVER_TIMEOUT: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            OTHER_SERVER_NOT_FOUND: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
            USER_BLOCKED: _ClassVar[ChatMessageResponse.DeliveryStatus.Status]
        UNKNOWN_STATUS: ChatMessageResponse.DeliveryStatus.Status
        DELIVERED: ChatMessageResponse.DeliveryStatus.Status
        OTHER_ERROR: ChatMessageResponse.DeliveryStatus.Status
        USER_AWAY: ChatMessageResponse.DeliveryStatus.Status
        USER_NOT_FOUND: ChatMessageResponse.DeliveryStatus.Status
        OTHER_SERVER_TIMEOUT: ChatMessageResponse.DeliveryStatus.Status
        OTHER_SERVER_NOT_FOUND: ChatMessageResponse.DeliveryStatus.Status
        USER_BLOCKED: ChatMessageResponse.DeliveryStatus.Status
        USER_FIELD_NUMBER: _ClassVar[int]
        STATUS_FIELD_NUMBER: _ClassVar[int]
        user: User
        status: ChatMessageResponse.DeliveryStatus.Status
        def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., status: _Optional[_Union[ChatMessageResponse.DeliveryStatus.Status, str]] = ...) -> None: ...
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    PROOFS_FIELD_NUMBER: _ClassVar[int]
    HISTORYOFF_FIELD_NUMBER: _ClassVar[int]
    GROUPNUMBER_FIELD_NUMBER: _ClassVar[int]
    messageSnowflake: int
    statuses: _containers.RepeatedCompositeFieldContainer[ChatMessageResponse.DeliveryStatus]
    author: User
    group: Group
    complete: bool
    receipt: int
    proofs: _containers.RepeatedCompositeFieldContainer[StatusProof]
    historyOff: bool
    groupNumber: int
    def __init__(self, messageSnowflake: _Optional[int] = ..., statuses: _Optional[_Iterable[_Union[ChatMessageResponse.DeliveryStatus, _Mapping]]] = ..., author: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., complete: _Optional[bool] = ..., receipt: _Optional[int] = ..., proofs: _Optional[_Iterable[_Union[StatusProof, _Mapping]]] = ..., historyOff: _Optional[bool] = ..., groupNumber: _Optional[int] = ...) -> None: ...

class StatusReceived(_message.Message):
    __slots__ = ("receipt",)
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    receipt: int
    def __init__(self, receipt: _Optional[int] = ...) -> None: ...

class Whole(_message.Message):
    __slots__ = ("hash", "size", "kind")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MESSAGE: _ClassVar[Whole.Kind]
    MESSAGE: Whole.Kind
    HASH_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    hash: bytes
    size: int
    kind: Whole.Kind
    def __init__(self, hash: _Optional[bytes] = ..., size: _Optional[int] = ..., kind: _Optional[_Union[Whole.Kind, str]] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("whole", "offset", "data")
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    whole: Whole
    offset: int
    data: bytes
    def __init__(self, whole: _Optional[_Union[Whole, _Mapping]] = ..., offset: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...

class PieceReceived(_message.Message):
    __slots__ = ("whole", "offset", "result")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OK: _ClassVar[PieceReceived.Result]
        LATER: _ClassVar[PieceReceived.Result]
        REFUSED: _ClassVar[PieceReceived.Result]
    OK: PieceReceived.Result
    LATER: PieceReceived.Result
    REFUSED: PieceReceived.Result
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    whole: Whole
    offset: int
    result: PieceReceived.Result
    def __init__(self, whole: _Optional[_Union[Whole, _Mapping]] = ..., offset: _Optional[int] = ..., result: _Optional[_Union[PieceReceived.Result, str]] = ...) -> None: ...

class QueryUsers(_message.Message):
    __slots__ = ("handle", "query")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    handle: int
    query: str
    def __init__(self, handle: _Optional[int] = ..., query: _Optional[str] = ...) -> None: ...

class QueryUsersResponse(_message.Message):
    __slots__ = ("handle", "users", "complete", "more")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    users: _containers.RepeatedCompositeFieldContainer[User]
    complete: bool
    more: bool
    def __init__(self, handle: _Optional[int] = ..., users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., complete: _Optional[bool] = ..., more: _Optional[bool] = ...) -> None: ...

class JoinGroup(_message.Message):
    __slots__ = ("handle", "group", "user")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    handle: int
    group: Group
    user: User
    def __init__(self, handle: _Optional[int] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class LeaveGroup(_message.Message):
    __slots__ = ("group", "user", "request")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    group: Group
    user: User
    request: int
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ..., request: _Optional[int] = ...) -> None: ...

class QueryGroupMembers(_message.Message):
    __slots__ = ("group", "user", "request")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    group: Group
    user: User
    request: int
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ..., request: _Optional[int] = ...) -> None: ...

class GroupMembers(_message.Message):
    __slots__ = ("group", "result", "user", "asker", "request", "reason", "historyOff", "admins")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_ERROR: _ClassVar[GroupMembers.Result]
        SUCCESS: _ClassVar[GroupMembers.Result]
        NOT_FOUND: _ClassVar[GroupMembers.Result]
    UNKNOWN_ERROR: GroupMembers.Result
    SUCCESS: GroupMembers.Result
    NOT_FOUND: GroupMembers.Result
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE: _ClassVar[GroupMembers.Reason]
        NOT_A_MEMBER: _ClassVar[GroupMembers.Reason]
        GROUP_FULL: _ClassVar[GroupMembers.Reason]
        SERVER_NOT_FOUND: _ClassVar[GroupMembers.Reason]
        SERVER_TIMEOUT: _ClassVar[GroupMembers.Reason]
        NO_GROUPS_THERE: _ClassVar[GroupMembers.Reason]
        FAILED: _ClassVar[GroupMembers.Reason]
        NOT_AN_ADMIN: _ClassVar[GroupMembers.Reason]
    NONE: GroupMembers.Reason
    NOT_A_MEMBER: GroupMembers.Reason
    GROUP_FULL: GroupMembers.Reason
    SERVER_NOT_FOUND: GroupMembers.Reason
    SERVER_TIMEOUT: GroupMembers.Reason
    NO_GROUPS_THERE: GroupMembers.Reason
    FAILED: GroupMembers.Reason
    NOT_AN_ADMIN: GroupMembers.Reason
    GROUP_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    ASKER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    HISTORYOFF_FIELD_NUMBER: _ClassVar[int]
    ADMINS_FIELD_NUMBER: _ClassVar[int]
    group: Group
    result: GroupMembers.Result
    user: _containers.RepeatedCompositeFieldContainer[User]
    asker: User
    request: int
    reason: GroupMembers.Reason
    historyOff: bool
    admins: _containers.RepeatedCompositeFieldContainer[User]
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ..., result: _Optional[_Union[GroupMembers.Result, str]] = ..., user: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., asker: _Optional[_Union[User, _Mapping]] = ..., request: _Optional[int] = ..., reason: _Optional[_Union[GroupMembers.Reason, str]] = ..., historyOff: _Optional[bool] = ..., admins: _Optional[_Iterable[_Union[User, _Mapping]]] = ...) -> None: ...

class ChangeGroup(_message.Message):
    __slots__ = ("group", "user", "request", "historyOff")
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    HISTORYOFF_FIELD_NUMBER: _ClassVar[int]
    group: Group
    user: User
    request: int
    historyOff: bool
    def __init__(self, group: _Optional[_Union[Group, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ..., request: _Optional[int] = ..., historyOff: _Optional[bool] = ...) -> None: ...

class ChangeBlock(_message.Message):
    __slots__ = ("user", "request", "of")
    USER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    OF_FIELD_NUMBER: _ClassVar[int]
    user: User
    request: int
    of: User
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., request: _Optional[int] = ..., of: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class BlockedUsers(_message.Message):
    __slots__ = ("request", "users", "ok")
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    USERS_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    request: int
    users: _containers.RepeatedCompositeFieldContainer[User]
    ok: bool
    def __init__(self, request: _Optional[int] = ..., users: _Optional[_Iterable[_Union[User, _Mapping]]] = ..., ok: _Optional[bool] = ...) -> None: ...

class TypingEvent(_message.Message):
    __slots__ = ("user", "timestamp", "to_user", "to_group", "to_member", "stopped", "confirm", "age")
    USER_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    TO_USER_FIELD_NUMBER: _ClassVar[int]
    TO_GROUP_FIELD_NUMBER: _ClassVar[int]
    TO_MEMBER_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    user: User
    timestamp: float
    to_user: User
    to_group: Group
    to_member: UserOfGroup
    stopped: bool
    confirm: bool
    age: float
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., timestamp: _Optional[float] = ..., to_user: _Optional[_Union[User, _Mapping]] = ..., to_group: _Optional[_Union[Group, _Mapping]] = ..., to_member: _Optional[_Union[UserOfGroup, _Mapping]] = ..., stopped: _Optional[bool] = ..., confirm: _Optional[bool] = ..., age: _Optional[float] = ...) -> None: ...

class TypingEvents(_message.Message):
    __slots__ = ("typing_events", "stopped")
    TYPING_EVENTS_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    typing_events: _containers.RepeatedCompositeFieldContainer[TypingEvent]
    stopped: _containers.RepeatedCompositeFieldContainer[TypingEvent]
    def __init__(self, typing_events: _Optional[_Iterable[_Union[TypingEvent, _Mapping]]] = ..., stopped: _Optional[_Iterable[_Union[TypingEvent, _Mapping]]] = ...) -> None: ...

class Location(_message.Message):
    __slots__ = ("latitude", "longitude")
    LATITUDE_FIELD_NUMBER: _ClassVar[int]
    LONGITUDE_FIELD_NUMBER: _ClassVar[int]
    latitude: float
    longitude: float
    def __init__(self, latitude: _Optional[float] = ..., longitude: _Optional[float] = ...) -> None: ...

class LiveLocation(_message.Message):
    __slots__ = ("author", "user", "group", "userOfGroup", "timestamp", "expiry_at", "location", "stopped", "messageSnowflake", "confirm", "age", "device")
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    USEROFGROUP_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_AT_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    CONFIRM_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    author: User
    user: User
    group: Group
    userOfGroup: UserOfGroup
    timestamp: float
    expiry_at: float
    location: Location
    stopped: bool
    messageSnowflake: int
    confirm: bool
    age: float
    device: int
    def __init__(self, author: _Optional[_Union[User, _Mapping]] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., userOfGroup: _Optional[_Union[UserOfGroup, _Mapping]] = ..., timestamp: _Optional[float] = ..., expiry_at: _Optional[float] = ..., location: _Optional[_Union[Location, _Mapping]] = ..., stopped: _Optional[bool] = ..., messageSnowflake: _Optional[int] = ..., confirm: _Optional[bool] = ..., age: _Optional[float] = ..., device: _Optional[int] = ...) -> None: ...

class ExtendedLiveLocation(_message.Message):
    __slots__ = ("live_location", "messageSnowflake", "remaining")
    LIVE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    REMAINING_FIELD_NUMBER: _ClassVar[int]
    live_location: LiveLocation
    messageSnowflake: int
    remaining: float
    def __init__(self, live_location: _Optional[_Union[LiveLocation, _Mapping]] = ..., messageSnowflake: _Optional[int] = ..., remaining: _Optional[float] = ...) -> None: ...

class LiveLocations(_message.Message):
    __slots__ = ("extended_live_locations",)
    EXTENDED_LIVE_LOCATIONS_FIELD_NUMBER: _ClassVar[int]
    extended_live_locations: _containers.RepeatedCompositeFieldContainer[ExtendedLiveLocation]
    def __init__(self, extended_live_locations: _Optional[_Iterable[_Union[ExtendedLiveLocation, _Mapping]]] = ...) -> None: ...

class Heard(_message.Message):
    __slots__ = ("timestamp", "messageSnowflake")
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    timestamp: float
    messageSnowflake: int
    def __init__(self, timestamp: _Optional[float] = ..., messageSnowflake: _Optional[int] = ...) -> None: ...

class Visitor(_message.Message):
    __slots__ = ("user", "client", "isParley", "onLink", "token")
    USER_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    ISPARLEY_FIELD_NUMBER: _ClassVar[int]
    ONLINK_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    user: User
    client: int
    isParley: bool
    onLink: bool
    token: SessionToken
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., client: _Optional[int] = ..., isParley: _Optional[bool] = ..., onLink: _Optional[bool] = ..., token: _Optional[_Union[SessionToken, _Mapping]] = ...) -> None: ...

class Visitors(_message.Message):
    __slots__ = ("here", "gone", "refused", "taken")
    HERE_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    TAKEN_FIELD_NUMBER: _ClassVar[int]
    here: _containers.RepeatedCompositeFieldContainer[Visitor]
    gone: _containers.RepeatedScalarFieldContainer[int]
    refused: _containers.RepeatedScalarFieldContainer[int]
    taken: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, here: _Optional[_Iterable[_Union[Visitor, _Mapping]]] = ..., gone: _Optional[_Iterable[int]] = ..., refused: _Optional[_Iterable[int]] = ..., taken: _Optional[_Iterable[int]] = ...) -> None: ...

class VisitorDatagrams(_message.Message):
    __slots__ = ("clients", "datagrams")
    CLIENTS_FIELD_NUMBER: _ClassVar[int]
    DATAGRAMS_FIELD_NUMBER: _ClassVar[int]
    clients: _containers.RepeatedScalarFieldContainer[int]
    datagrams: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, clients: _Optional[_Iterable[int]] = ..., datagrams: _Optional[_Iterable[bytes]] = ...) -> None: ...

class Translate(_message.Message):
    __slots__ = ("target_language", "original_text", "translated_text")
    class Language(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DE: _ClassVar[Translate.Language]
        EN: _ClassVar[Translate.Language]
        ZH: _ClassVar[Translate.Language]
        TR: _ClassVar[Translate.Language]
    DE: Translate.Language
    EN: Translate.Language
    ZH: Translate.Language
    TR: Translate.Language
    TARGET_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_TEXT_FIELD_NUMBER: _ClassVar[int]
    TRANSLATED_TEXT_FIELD_NUMBER: _ClassVar[int]
    target_language: Translate.Language
    original_text: str
    translated_text: str
    def __init__(self, target_language: _Optional[_Union[Translate.Language, str]] = ..., original_text: _Optional[str] = ..., translated_text: _Optional[str] = ...) -> None: ...

class Translated(_message.Message):
    __slots__ = ("target_language", "original_text", "translated_text")
    TARGET_LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_TEXT_FIELD_NUMBER: _ClassVar[int]
    TRANSLATED_TEXT_FIELD_NUMBER: _ClassVar[int]
    target_language: Translate.Language
    original_text: str
    translated_text: str
    def __init__(self, target_language: _Optional[_Union[Translate.Language, str]] = ..., original_text: _Optional[str] = ..., translated_text: _Optional[str] = ...) -> None: ...

class DocumentStatus(_message.Message):
    __slots__ = ("documentSnowflake", "result", "expiry")
    DOCUMENTSNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    EXPIRY_FIELD_NUMBER: _ClassVar[int]
    documentSnowflake: int
    result: DownloadingDocument.Result
    expiry: int
    def __init__(self, documentSnowflake: _Optional[int] = ..., result: _Optional[_Union[DownloadingDocument.Result, str]] = ..., expiry: _Optional[int] = ...) -> None: ...

class DownloadDocument(_message.Message):
    __slots__ = ("documentSnowflake",)
    DOCUMENTSNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    documentSnowflake: int
    def __init__(self, documentSnowflake: _Optional[int] = ...) -> None: ...

class DownloadingDocument(_message.Message):
    __slots__ = ("documentSnowflake", "result", "data")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_ERROR: _ClassVar[DownloadingDocument.Result]
        AVAILABLE: _ClassVar[DownloadingDocument.Result]
        NOT_FOUND: _ClassVar[DownloadingDocument.Result]
        EXPIRED: _ClassVar[DownloadingDocument.Result]
        DELETED: _ClassVar[DownloadingDocument.Result]
        PENDING_UPLOAD: _ClassVar[DownloadingDocument.Result]
    UNKNOWN_ERROR: DownloadingDocument.Result
    AVAILABLE: DownloadingDocument.Result
    NOT_FOUND: DownloadingDocument.Result
    EXPIRED: DownloadingDocument.Result
    DELETED: DownloadingDocument.Result
    PENDING_UPLOAD: DownloadingDocument.Result
    DOCUMENTSNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    documentSnowflake: int
    result: DownloadingDocument.Result
    data: bytes
    def __init__(self, documentSnowflake: _Optional[int] = ..., result: _Optional[_Union[DownloadingDocument.Result, str]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ServerList(_message.Message):
    __slots__ = ("servers", "own", "gone", "isDifference")
    class Server(_message.Message):
        __slots__ = ("serverId", "endpoints", "mark", "key")
        SERVERID_FIELD_NUMBER: _ClassVar[int]
        ENDPOINTS_FIELD_NUMBER: _ClassVar[int]
        MARK_FIELD_NUMBER: _ClassVar[int]
        KEY_FIELD_NUMBER: _ClassVar[int]
        serverId: str
        endpoints: _containers.RepeatedCompositeFieldContainer[Endpoint]
        mark: Mark
        key: bytes
        def __init__(self, serverId: _Optional[str] = ..., endpoints: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., mark: _Optional[_Union[Mark, _Mapping]] = ..., key: _Optional[bytes] = ...) -> None: ...
    SERVERS_FIELD_NUMBER: _ClassVar[int]
    OWN_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    ISDIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    servers: _containers.RepeatedCompositeFieldContainer[ServerList.Server]
    own: _containers.RepeatedCompositeFieldContainer[Endpoint]
    gone: _containers.RepeatedScalarFieldContainer[str]
    isDifference: bool
    def __init__(self, servers: _Optional[_Iterable[_Union[ServerList.Server, _Mapping]]] = ..., own: _Optional[_Iterable[_Union[Endpoint, _Mapping]]] = ..., gone: _Optional[_Iterable[str]] = ..., isDifference: _Optional[bool] = ...) -> None: ...

class AnnounceTo(_message.Message):
    __slots__ = ("host", "port", "nonce", "limit")
    HOST_FIELD_NUMBER: _ClassVar[int]
    PORT_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    host: str
    port: int
    nonce: bytes
    limit: int
    def __init__(self, host: _Optional[str] = ..., port: _Optional[int] = ..., nonce: _Optional[bytes] = ..., limit: _Optional[int] = ...) -> None: ...

class LinkedServers(_message.Message):
    __slots__ = ("serverIds", "links")
    SERVERIDS_FIELD_NUMBER: _ClassVar[int]
    LINKS_FIELD_NUMBER: _ClassVar[int]
    serverIds: _containers.RepeatedScalarFieldContainer[str]
    links: _containers.RepeatedCompositeFieldContainer[LinkState]
    def __init__(self, serverIds: _Optional[_Iterable[str]] = ..., links: _Optional[_Iterable[_Union[LinkState, _Mapping]]] = ...) -> None: ...

class LinkState(_message.Message):
    __slots__ = ("serverId", "linked", "dialled", "age", "rtt", "lastError", "errorAge", "dialect", "why", "notDialled", "assurance")
    SERVERID_FIELD_NUMBER: _ClassVar[int]
    LINKED_FIELD_NUMBER: _ClassVar[int]
    DIALLED_FIELD_NUMBER: _ClassVar[int]
    AGE_FIELD_NUMBER: _ClassVar[int]
    RTT_FIELD_NUMBER: _ClassVar[int]
    LASTERROR_FIELD_NUMBER: _ClassVar[int]
    ERRORAGE_FIELD_NUMBER: _ClassVar[int]
    DIALECT_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    NOTDIALLED_FIELD_NUMBER: _ClassVar[int]
    ASSURANCE_FIELD_NUMBER: _ClassVar[int]
    serverId: str
    linked: bool
    dialled: bool
    age: float
    rtt: float
    lastError: str
    errorAge: float
    dialect: str
    why: str
    notDialled: bool
    assurance: str
    def __init__(self, serverId: _Optional[str] = ..., linked: _Optional[bool] = ..., dialled: _Optional[bool] = ..., age: _Optional[float] = ..., rtt: _Optional[float] = ..., lastError: _Optional[str] = ..., errorAge: _Optional[float] = ..., dialect: _Optional[str] = ..., why: _Optional[str] = ..., notDialled: _Optional[bool] = ..., assurance: _Optional[str] = ...) -> None: ...

class QueryConversations(_message.Message):
    __slots__ = ("handle", "limit")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    handle: int
    limit: int
    def __init__(self, handle: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class QueryHistory(_message.Message):
    __slots__ = ("handle", "user", "group", "before", "after", "limit", "since")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    user: User
    group: Group
    before: int
    after: int
    limit: int
    since: float
    def __init__(self, handle: _Optional[int] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., before: _Optional[int] = ..., after: _Optional[int] = ..., limit: _Optional[int] = ..., since: _Optional[float] = ...) -> None: ...

class QueryText(_message.Message):
    __slots__ = ("handle", "query", "limit", "before")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    query: str
    limit: int
    before: int
    def __init__(self, handle: _Optional[int] = ..., query: _Optional[str] = ..., limit: _Optional[int] = ..., before: _Optional[int] = ...) -> None: ...

class HistoryLine(_message.Message):
    __slots__ = ("user", "group", "sequence", "at", "message", "received", "status", "edit", "groupNumber")
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    GROUPNUMBER_FIELD_NUMBER: _ClassVar[int]
    user: User
    group: Group
    sequence: int
    at: float
    message: bytes
    received: bool
    status: ChatMessageResponse.DeliveryStatus.Status
    edit: bytes
    groupNumber: int
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., sequence: _Optional[int] = ..., at: _Optional[float] = ..., message: _Optional[bytes] = ..., received: _Optional[bool] = ..., status: _Optional[_Union[ChatMessageResponse.DeliveryStatus.Status, str]] = ..., edit: _Optional[bytes] = ..., groupNumber: _Optional[int] = ...) -> None: ...

class HistoryAnswer(_message.Message):
    __slots__ = ("handle", "result", "reason", "lines", "more", "next", "kept_days", "read")
    class Result(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        UNKNOWN_ERROR: _ClassVar[HistoryAnswer.Result]
        SUCCESS: _ClassVar[HistoryAnswer.Result]
        OFF: _ClassVar[HistoryAnswer.Result]
        BUSY: _ClassVar[HistoryAnswer.Result]
        REFUSED: _ClassVar[HistoryAnswer.Result]
    UNKNOWN_ERROR: HistoryAnswer.Result
    SUCCESS: HistoryAnswer.Result
    OFF: HistoryAnswer.Result
    BUSY: HistoryAnswer.Result
    REFUSED: HistoryAnswer.Result
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    NEXT_FIELD_NUMBER: _ClassVar[int]
    KEPT_DAYS_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    handle: int
    result: HistoryAnswer.Result
    reason: str
    lines: _containers.RepeatedCompositeFieldContainer[HistoryLine]
    more: bool
    next: int
    kept_days: float
    read: int
    def __init__(self, handle: _Optional[int] = ..., result: _Optional[_Union[HistoryAnswer.Result, str]] = ..., reason: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[HistoryLine, _Mapping]]] = ..., more: _Optional[bool] = ..., next: _Optional[int] = ..., kept_days: _Optional[float] = ..., read: _Optional[int] = ...) -> None: ...

class ConversationSummary(_message.Message):
    __slots__ = ("user", "group", "last", "unread", "read")
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    UNREAD_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    user: User
    group: Group
    last: HistoryLine
    unread: int
    read: int
    def __init__(self, user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., last: _Optional[_Union[HistoryLine, _Mapping]] = ..., unread: _Optional[int] = ..., read: _Optional[int] = ...) -> None: ...

class ConversationsAnswer(_message.Message):
    __slots__ = ("handle", "result", "conversations", "more", "reason")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    CONVERSATIONS_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    handle: int
    result: HistoryAnswer.Result
    conversations: _containers.RepeatedCompositeFieldContainer[ConversationSummary]
    more: bool
    reason: str
    def __init__(self, handle: _Optional[int] = ..., result: _Optional[_Union[HistoryAnswer.Result, str]] = ..., conversations: _Optional[_Iterable[_Union[ConversationSummary, _Mapping]]] = ..., more: _Optional[bool] = ..., reason: _Optional[str] = ...) -> None: ...

class ReadReceipt(_message.Message):
    __slots__ = ("messageSnowflake", "user", "group", "sequence", "tellsAuthor")
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TELLSAUTHOR_FIELD_NUMBER: _ClassVar[int]
    messageSnowflake: int
    user: User
    group: Group
    sequence: int
    tellsAuthor: bool
    def __init__(self, messageSnowflake: _Optional[int] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., sequence: _Optional[int] = ..., tellsAuthor: _Optional[bool] = ...) -> None: ...

class RelayReadReceipt(_message.Message):
    __slots__ = ("messageSnowflake", "byUser", "author")
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    BYUSER_FIELD_NUMBER: _ClassVar[int]
    AUTHOR_FIELD_NUMBER: _ClassVar[int]
    messageSnowflake: int
    byUser: User
    author: User
    def __init__(self, messageSnowflake: _Optional[int] = ..., byUser: _Optional[_Union[User, _Mapping]] = ..., author: _Optional[_Union[User, _Mapping]] = ...) -> None: ...

class ReadReceiptAck(_message.Message):
    __slots__ = ("messageSnowflake", "user", "group", "sequence")
    MESSAGESNOWFLAKE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    messageSnowflake: int
    user: User
    group: Group
    sequence: int
    def __init__(self, messageSnowflake: _Optional[int] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...

class ClearHistory(_message.Message):
    __slots__ = ("handle", "user", "group")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    handle: int
    user: User
    group: Group
    def __init__(self, handle: _Optional[int] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ...) -> None: ...

class QuerySync(_message.Message):
    __slots__ = ("handle", "cursor", "limit", "follow")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    handle: int
    cursor: bytes
    limit: int
    follow: bool
    def __init__(self, handle: _Optional[int] = ..., cursor: _Optional[bytes] = ..., limit: _Optional[int] = ..., follow: _Optional[bool] = ...) -> None: ...

class SyncAnswer(_message.Message):
    __slots__ = ("handle", "result", "reason", "lines", "more", "cursor", "startOver", "read", "kept_days")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    STARTOVER_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    KEPT_DAYS_FIELD_NUMBER: _ClassVar[int]
    handle: int
    result: HistoryAnswer.Result
    reason: str
    lines: _containers.RepeatedCompositeFieldContainer[HistoryLine]
    more: bool
    cursor: bytes
    startOver: bool
    read: _containers.RepeatedCompositeFieldContainer[ReadReceiptAck]
    kept_days: float
    def __init__(self, handle: _Optional[int] = ..., result: _Optional[_Union[HistoryAnswer.Result, str]] = ..., reason: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[HistoryLine, _Mapping]]] = ..., more: _Optional[bool] = ..., cursor: _Optional[bytes] = ..., startOver: _Optional[bool] = ..., read: _Optional[_Iterable[_Union[ReadReceiptAck, _Mapping]]] = ..., kept_days: _Optional[float] = ...) -> None: ...

class SyncNews(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadMark(_message.Message):
    __slots__ = ("person", "user", "group", "sequence")
    PERSON_FIELD_NUMBER: _ClassVar[int]
    USER_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    person: str
    user: User
    group: Group
    sequence: int
    def __init__(self, person: _Optional[str] = ..., user: _Optional[_Union[User, _Mapping]] = ..., group: _Optional[_Union[Group, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...
