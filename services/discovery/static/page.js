// Replaces what changes with what the node sends: it is HTML that the node has escaped, the same as in the page.
"use strict";
const live = document.getElementById("live");
const connection = document.getElementById("connection");
const events = new EventSource("/events");
events.onopen = () => { connection.textContent = "Live."; connection.className = "is-live"; };
events.onmessage = (event) => { live.innerHTML = JSON.parse(event.data); };
events.onerror = () => { connection.textContent = "The node does not answer; trying again."; connection.className = "is-lost"; };
