"""The dashboard Federation: who is linked with whom, and how well."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import dashboard

from deploy.grafana.panels import WHO, Query, board, graph, graph_of_nodes, matrix, number, rate

TIME_TO_PEER: Final = f'(parley_discovery_time_to_peer_seconds_bucket{{feature=~"$feature"}} {WHO})'
"""Since the processes' starts: most of it happens before the first scrape, where no rate sees it."""
EDGES: Final = (
    f'label_join(label_replace(label_replace(min by (server_id, peer) (parley_peer_links{{state="linked"}} {WHO}), '
    '"source", "$1", "server_id", "(.*)"), "target", "$1", "peer", "(.*)"), "id", "→", "server_id", "peer")'
)
NODES: Final = (
    f'label_replace(label_replace(sum by (server_id) (parley_peers {WHO}), "id", "$1", "server_id", "(.*)"), '
    '"title", "$1", "server_id", "(.*)")'
)


def federation() -> dashboard.Dashboard:
    """Who is linked with whom."""
    return board(
        "federation",
        "Federation",
        "Who is linked with whom, and how well.",
        number(
            "Nodes",
            "Nodes that Prometheus scrapes: those with one process at least.",
            "short",
            Query(f"count(count by (server_id) (parley_ready {WHO}))"),
        ),
        number(
            "Servers known",
            "The most other servers that any node has in its directory.",
            "short",
            Query(f"max(parley_servers_known {WHO})"),
        ),
        number(
            "Links",
            "Links between the nodes, of all features. Each is counted at both of its ends.",
            "short",
            Query(f"sum(parley_peers {WHO})"),
        ),
        number(
            "Links down",
            "Links that a node tries to make and has not. Here 0 is well; anything else lasts for seconds.",
            "short",
            Query(f'sum(parley_peer_links{{state="dialling"}} {WHO}) or vector(0)'),
            steps=[(1, "red")],
        ),
        number(
            "Processes not ready",
            "Processes whose /readyz says no, and those that do not answer.",
            "short",
            Query(f'(sum((parley_ready == bool 0) {WHO}) or vector(0)) + (sum(up{{job="parley"}} == bool 0))'),
            steps=[(1, "red")],
        ),
        number(
            "Time to peer",
            "From a server's first announcement to a link with it: 95 of 100 were no slower since the start.",
            "s",
            Query(f"histogram_quantile(0.95, sum by (le) {TIME_TO_PEER})"),
            steps=[(5, "orange"), (15, "red")],
        ),
        graph_of_nodes(
            "Servers and links",
            "Each server with its number of links, and an arrow to each server that it deals with: 1 where every "
            "feature is linked, 0 where one is not.",
            Query(NODES, name="nodes"),
            Query(EDGES, name="edges"),
        ),
        matrix(
            "Round trips",
            "What the way from one server (down) to another (across) and back takes: PING to PONG, the slowest "
            "feature.",
            "s",
            Query(f"max by (server_id, peer) (parley_link_rtt_seconds {WHO})"),
            rows="server_id",
            columns="peer",
            steps=[(0.05, "orange"), (0.5, "red")],
        ),
        graph(
            "Linked servers",
            "Servers that each process is linked with. Lines of one node that differ: a feature lacks a link.",
            "short",
            Query(f"sum by (server_id, feature) (parley_peers {WHO})", "{{server_id}} {{feature}}"),
        ),
        graph(
            "Handshakes",
            "Connections to and from servers and clients, by result. `unreachable` and `refused` at a steady rate: "
            "somebody dials what is not there.",
            "ops",
            Query(rate("parley_connects_total", "result, role"), "{{result}} ({{role}})"),
        ),
        graph(
            "Links that ended",
            "Why links ended. exit: hung up on purpose. timeout: silent for too long. lost: the connection broke.",
            "ops",
            Query(rate("parley_link_closes_total", "server_id, reason"), "{{server_id}} {{reason}}"),
        ),
        graph(
            "Reconnects",
            "Servers that were linked again, by why the link before ended.",
            "short",
            Query(
                f"sum by (server_id, reason) (increase(parley_peer_reconnects_total[$__rate_interval]) {WHO})",
                "{{server_id}} after {{reason}}",
            ),
        ),
        graph(
            "Two links at once",
            "Two servers dialled each other: which link was kept. Some at a start are normal.",
            "short",
            Query(
                f"sum by (server_id, kept) (increase(parley_duplicate_links_total[$__rate_interval]) {WHO})",
                "{{server_id}} kept {{kept}}",
            ),
        ),
        graph(
            "Round trip",
            "PING to PONG on each link.",
            "s",
            Query(
                f"max by (server_id, peer, feature) (parley_link_rtt_seconds {WHO})",
                "{{server_id}} → {{peer}} {{feature}}",
            ),
            steps=[(0.5, "red")],
        ),
        graph(
            "Time from first heard to linked",
            "Median and 95 of 100 since the nodes' start: how long a server waits for the others.",
            "s",
            Query(
                f"histogram_quantile(0.5, sum by (feature, le) {TIME_TO_PEER})",
                "{{feature}} median",
            ),
            Query(
                f"histogram_quantile(0.95, sum by (feature, le) {TIME_TO_PEER})",
                "{{feature}} 95 %",
            ),
        ),
        graph(
            "Discovery",
            "Requests and announcements on the discovery port.",
            "pps",
            Query(rate("parley_discovery_requests_total", "direction"), "requests {{direction}}"),
            Query(rate("parley_announcements_total", "direction"), "announcements {{direction}}"),
        ),
    )
