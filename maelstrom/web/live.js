// Shows what the broker sends; says so when it sends nothing.
"use strict";
const state = document.getElementById("state");
const connection = document.getElementById("connection");
const source = new EventSource("events");
source.onmessage = (event) => {
  state.innerHTML = event.data; // Made by the broker, which escapes what others call themselves.
  connection.textContent = "live";
  connection.className = "";
};
source.onerror = () => {
  connection.textContent = "the broker does not answer";
  connection.className = "bad";
};
