"""The dashboards Messages, Typing and location, and Processes."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import BOTH, BUILD, WHO, Query, board, graph, heat, listed, quantile, rate


def messages() -> dashboard.Dashboard:
    """What chat does."""
    return board(
        "messages",
        "Messages",
        "How many messages, what became of them, how long they took, and what waits.",
        graph(
            "Statuses",
            "What authors were told. delivered: the recipient has it. user_away, other_server_timeout: it waits, "
            "and delivered follows. The others say why it will not come.",
            "ops",
            Query(rate("parley_messages_total", "status"), "{{status}}"),
        ),
        graph(
            "Delivered, by server",
            "Messages delivered each second. remote: the author's server has heard so from the recipient's.",
            "ops",
            Query(
                rate("parley_messages_total", "server_id, scope", '{status="delivered"}'), "{{server_id}} {{scope}}"
            ),
        ),
        heat(
            "Delivery time",
            "From a message's receipt at a server to its DELIVERED there, of messages that did not wait. "
            "The recipient's client is part of it.",
            "s",
            Query(
                'sum by (le) (increase(parley_delivery_seconds_bucket{scope!="mailbox"}[$__rate_interval]) '
                f"{WHO})"
            ),
        ),
        graph(
            "Delivery time, median and 99 of 100",
            "local: the recipient is at the same server. remote: at another one, there and back.",
            "s",
            Query(quantile(0.5, "parley_delivery_seconds", "scope"), "{{scope}} median"),
            Query(quantile(0.99, "parley_delivery_seconds", "scope"), "{{scope}} 99 %"),
            steps=[(1, "red")],
        ),
        graph(
            "Frames",
            "Frames by name, on all links of clients and servers.",
            "pps",
            Query(rate("parley_frames_total", "direction, name"), "{{name}} {{direction}}"),
        ),
        graph(
            "Messages that wait",
            "For users who are away and servers that are not linked.",
            "short",
            Query(f"sum by (server_id) (parley_mailbox_messages {WHO})", "{{server_id}}"),
        ),
        graph(
            "Large messages on disk",
            "Bytes of messages of 64 KiB and more that wait; each is a file of its own.",
            "bytes",
            Query(f"sum by (server_id) (parley_mailbox_body_files_bytes {WHO})", "{{server_id}}"),
        ),
        graph(
            "Age of the oldest",
            "Since when the oldest message waits. After chat.mailbox_ttl (7 days) it is given up.",
            "s",
            Query(f"max by (server_id) (parley_mailbox_oldest_age_seconds {WHO})", "{{server_id}}"),
            steps=[(432000, "red")],
        ),
        graph(
            "Time for a commit",
            "One transaction of the mailbox: what an author who is told USER_AWAY waits for.",
            "s",
            Query(quantile(0.5, "parley_mailbox_commit_seconds", "server_id"), "{{server_id}} median"),
            Query(quantile(0.99, "parley_mailbox_commit_seconds", "server_id"), "{{server_id}} 99 %"),
            steps=[(1, "red")],
        ),
        graph(
            "Writes in a commit",
            "How much is gathered into one transaction.",
            "short",
            Query(quantile(0.5, "parley_mailbox_commit_writes", "server_id"), "{{server_id}} median"),
            Query(quantile(0.99, "parley_mailbox_commit_writes", "server_id"), "{{server_id}} 99 %"),
        ),
        graph(
            "Statuses owed",
            "Statuses for authors and servers that are not there to hear them.",
            "short",
            Query(f"sum by (server_id) (parley_statuses_owed {WHO})", "{{server_id}}"),
        ),
    )


def typing_and_location() -> dashboard.Dashboard:
    """The two features that use datagrams."""
    return board(
        "typing-location",
        "Typing and location",
        "Who types, who shares where they are, and the datagrams that tell it.",
        graph(
            "People who type",
            "Typing entries that each server holds, its own users' and those of others.",
            "short",
            Query(f"sum by (server_id) (parley_typing_active {WHO})", "{{server_id}}"),
        ),
        graph(
            "Locations shared",
            "Live location streams that each server holds.",
            "short",
            Query(f"sum by (server_id) (parley_location_streams {WHO})", "{{server_id}}"),
        ),
        graph(
            "Datagrams",
            "Datagrams from and to clients, and on the discovery port.",
            "pps",
            Query(rate("parley_datagrams_total", "feature, direction"), "{{feature}} {{direction}}"),
        ),
        graph(
            "Datagrams dropped",
            "not_a_subscriber: from an address that no client is connected from. All should be near 0.",
            "pps",
            Query(rate("parley_datagrams_dropped_total", "feature, reason"), "{{feature}} {{reason}}"),
            steps=[(1, "orange")],
        ),
        graph(
            "Subscribers",
            "Clients connected to each process.",
            "short",
            Query(f"sum by (server_id, feature) (parley_subscribers {WHO})", "{{server_id}} {{feature}}"),
        ),
    )


def processes() -> dashboard.Dashboard:
    """The processes themselves."""
    return board(
        "processes",
        "Processes",
        "What each process is, and what it costs.",
        listed(
            "Processes",
            "Every process that Prometheus scrapes.",
            "short",
            Query(f"max by (server_id, feature, version, instance) ({BUILD})"),
            names={"server_id": "Server", "feature": "Feature", "version": "Version", "instance": "Address"},
        ),
        graph(
            "Ready",
            "1: /readyz says yes.",
            "short",
            Query(f"min by (server_id, feature) (parley_ready {WHO})", "{{server_id}} {{feature}}"),
        ),
        graph(
            "Event-loop lag, 99 of 100",
            "How late a timer comes: what everything in this process waits longer than it should.",
            "s",
            Query(
                quantile(0.99, "parley_event_loop_lag_seconds", "server_id, feature", BOTH),
                "{{server_id}} {{feature}}",
            ),
            steps=[(0.25, "red")],
        ),
        graph(
            "Processor",
            "Share of one processor. A process uses one at most.",
            "percentunit",
            Query(rate("process_cpu_seconds_total", "server_id, feature", who=BOTH), "{{server_id}} {{feature}}"),
            steps=[(0.8, "red")],
        ),
        graph(
            "Memory",
            "Resident memory.",
            "bytes",
            Query(
                f"sum by (server_id, feature) (process_resident_memory_bytes {BOTH})", "{{server_id}} {{feature}}"
            ),
        ),
        graph(
            "Open files",
            "Connections and files, and how many there may be.",
            "short",
            Query(f"sum by (server_id, feature) (process_open_fds {BOTH})", "{{server_id}} {{feature}}"),
            Query("min(process_max_fds)", "the least limit"),
        ),
        graph(
            "Frames rejected",
            "What was refused, by reason. All should be near 0.",
            "pps",
            Query(rate("parley_frames_rejected_total", "feature, reason"), "{{feature}} {{reason}}"),
            steps=[(1, "orange")],
        ),
        graph(
            "Running for",
            "Since each process started. A line that falls to 0: it was started again.",
            "s",
            Query(
                f"max by (server_id, feature) ((time() - process_start_time_seconds) {BOTH})",
                "{{server_id}} {{feature}}",
            ),
        ),
    )
