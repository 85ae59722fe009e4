"""The tables of protocol.md, as plain_wire.py reads and writes by them: names, payloads, enumerations.

`NAMES` are those of its first table, which code base 1 knows; `SHEET` those of the common sheet.
"""

NAMES = {
    "DISCOVER_SERVER": "DiscoverServer",
    "SERVER_ANNOUNCE": "ServerAnnounce",
    "CONNECT_CLIENT": "ConnectClient",
    "CONNECT_SERVER": "ConnectServer",
    "CONNECTED": "ConnectResponse",
    "HANGUP": "HangUp",
    "PING": "Ping",
    "PONG": "Pong",
    "UNSUPPORTED_MESSAGE": "UnsupportedMessage",
    "MESSAGE": "ChatMessage",
    "MESSAGE_ACK": "ChatMessageResponse",
    "TYPING_EVENT": "TypingEvent",
    "TYPING_EVENTS": "TypingEvents",
    "LIVE_LOCATION": "LiveLocation",
    "LIVE_LOCATIONS": "LiveLocations",
    "TRANSLATE": "Translate",
    "TRANSLATED": "Translated",
    "DOWNLOAD_DOCUMENT": "DownloadDocument",
    "DOWNLOADING_DOCUMENT": "DownloadingDocument",
}

SHEET = {
    "SEARCH_USERS": "QueryUsers",
    "SEARCH_USERS_RESP": "QueryUsersResponse",
    "MODIFY_GROUP": "ModifyGroup",
    "MODIFY_GROUP_RESP": "ModifyGroupResponse",
    "INVITE_GROUP": "InviteGroup",
    "NOTIFY_GROUP_INVITE": "NotifyGroupInvite",
    "JOIN_GROUP": "JoinGroup",
    "LEAVE_GROUP": "LeaveGroup",
    "QUERY_GROUP_MEMBERS": "QueryGroupMembers",
    "GROUP_MEMBERS": "GroupMembers",
    "READ_RECEIPT": "ReadReceipt",
    "READ_RECEIPT_ACK": "ReadReceiptAck",
    "RELAY_READ_RECEIPT": "RelayReadReceipt",
    "REQUEST_UPLOAD": "RequestUpload",
    "UPLOAD_PERMISSION": "UploadPermission",
    "UPLOAD_DOCUMENT": "UploadDocument",
    "UPLOADED_DOCUMENT": "UploadedDocument",
    "QUERY_DOCUMENT_STATUS": "DownloadDocument",
    "DOCUMENT_STATUS": "DocumentStatus",
    "SET_REMINDER": "SetReminder",
    "REMINDER": "Reminder",
}

# Numbered from 0 in this order.
ENUMS = {
    "ConnectResult": ["UNKNOWN_ERROR", "CONNECTED", "IS_ALREADY_CONNECTED_ERROR"],
    "HangUpReason": ["UNKNOWN_REASON", "EXIT", "TIMEOUT", "PAYLOAD_LIMIT_EXCEEDED", "MESSAGE_MALFORMED"],
    "Status": [
        "UNKNOWN_STATUS",
        "DELIVERED",
        "OTHER_ERROR",
        "USER_AWAY",
        "USER_NOT_FOUND",
        "OTHER_SERVER_TIMEOUT",
        "OTHER_SERVER_NOT_FOUND",
        "USER_BLOCKED",
    ],
    "Language": ["DE", "EN", "ZH", "TR"],
    "GroupResult": ["UNKNOWN_ERROR", "SUCCESS", "NOT_PERMITTED"],
    "MembersResult": ["UNKNOWN_ERROR", "SUCCESS", "NOT_FOUND"],
    "PermissionResult": ["UNKNOWN_ERROR", "GO_AHEAD", "DOCUMENT_TOO_LARGE", "DOCUMENT_TTL_TOO_LONG"],
    "UploadResult": ["UNKNOWN_ERROR", "SUCCESS", "SIZE_MISMATCH"],
    "DownloadResult": ["UNKNOWN_ERROR", "AVAILABLE", "NOT_FOUND", "EXPIRED", "DELETED", "PENDING_UPLOAD"],
}

# Each field: number, name, type, then "repeated", "optional" or the oneof it is a member of.
TYPES = {
    "DiscoverServer": "",
    "ServerAnnounce": "1 serverId s; 2 feature ServerFeature repeated",
    "ServerFeature": "1 featureName s; 2 port u32; 23 udpPort u32",
    "ConnectClient": "1 user User; 22 udpPort i32",
    "ConnectServer": "1 serverId s; 2 features s repeated",
    "ConnectResponse": "1 result ConnectResult",
    "HangUp": "1 reason HangUpReason",
    "Ping": "",
    "Pong": "",
    "UnsupportedMessage": "1 message_name s",
    "ChatMessage": (
        "1 messageSnowflake u64; 2 author User; 3 user User recipient; 4 group Group recipient;"
        " 5 userOfGroup UserOfGroup recipient; 11 textContent s content;"
        " 12 document Document content; 22 live_location LiveLocation content"
    ),
    "ChatMessageResponse": "1 messageSnowflake u64; 2 statuses DeliveryStatus repeated",
    "DeliveryStatus": "1 user User; 2 status Status",
    "TypingEvent": "1 user User; 2 timestamp f64",
    "TypingEvents": "1 typing_events TypingEvent repeated",
    "LiveLocation": (
        "1 author User; 2 user User recipient; 3 group Group recipient;"
        " 4 userOfGroup UserOfGroup recipient; 5 timestamp f64; 6 expiry_at f64; 7 location Location"
    ),
    "Location": "1 latitude f64; 2 longitude f64",
    "LiveLocations": "1 extended_live_locations ExtendedLiveLocation repeated",
    "ExtendedLiveLocation": "1 live_location LiveLocation; 2 messageSnowflake u64",
    "Translate": "1 target_language Language; 2 original_text s; 3 translated_text s optional",
    "Translated": "1 target_language Language; 2 original_text s; 3 translated_text s optional",
    "DownloadDocument": "1 documentSnowflake u64",
    "DownloadingDocument": "1 documentSnowflake u64; 2 result DownloadResult; 3 data b",
    "User": "1 userId s; 2 serverId s",
    "Group": "1 groupId s; 2 serverId s",
    "UserOfGroup": "1 user User; 2 group Group",
    "Document": "1 documentId s; 2 filename s; 3 mimeType s; 4 data b",
    "QueryUsers": "1 handle u64; 2 query s",
    "QueryUsersResponse": "1 handle u64; 2 users User repeated",
    "ModifyGroup": "1 handle u64; 2 groupId s; 3 deleteGroup u32; 4 displayName s; 5 admins User repeated",
    "ModifyGroupResponse": "1 handle u64; 2 result GroupResult",
    "InviteGroup": "1 handle u64; 2 groupId s; 3 user User",
    "NotifyGroupInvite": "1 handle u64; 2 group Group",
    "JoinGroup": "1 handle u64; 2 group Group; 3 user User",
    "LeaveGroup": "1 group Group; 2 user User",
    "QueryGroupMembers": "1 group Group",
    "GroupMembers": "1 group Group; 2 result MembersResult; 3 user User repeated",
    "ReadReceipt": "1 messageSnowflake u64; 2 user User recipient; 3 group Group recipient",
    "ReadReceiptAck": "1 messageSnowflake u64",
    "RelayReadReceipt": "1 messageSnowflake u64; 2 byUser User",
    "RequestUpload": "1 handle u64; 2 filename s; 3 filesize u64; 4 ttl u64",
    "UploadPermission": "1 handle u64; 2 result PermissionResult; 3 document DocumentReference",
    "DocumentReference": "1 documentSnowflake u64; 2 serverId s; 3 uploader User; 4 filename s",
    "UploadDocument": "1 documentSnowflake u64; 2 data b",
    "UploadedDocument": "1 documentSnowflake u64; 2 result UploadResult",
    "DocumentStatus": "1 documentSnowflake u64; 2 result DownloadResult; 3 expiry u64",
    "SetReminder": "1 user User; 2 event s; 3 countdownSeconds u32",
    "Reminder": "1 user User; 2 reminderContent s",
}
