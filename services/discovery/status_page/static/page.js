// Replaces what changes with what the node sends: it is HTML that the node has escaped, the same as in the page.
"use strict";
const live = document.getElementById("live");
const connection = document.getElementById("connection");
const events = new EventSource("/events");
events.onopen = () => { connection.textContent = "Live."; connection.className = "is-live"; };
events.onmessage = (event) => { live.innerHTML = JSON.parse(event.data); };
events.onerror = () => {
  connection.className = "is-lost";
  if (events.readyState !== EventSource.CLOSED) {
    connection.textContent = "The node does not answer; trying again.";
    return;
  }
  // It answered that it takes no more readers, after which the browser does not ask again.
  connection.textContent = "Too many watch this node: the page loads itself anew every 10 seconds.";
  setTimeout(() => location.reload(), 10000);
};
