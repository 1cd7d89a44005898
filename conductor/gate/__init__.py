"""The gate: a proxy on loopback between one attempt's agent and its model provider. It puts the real key in, reads
status, usage and limits while answers pass, and shuts when a budget is used up.

`heads`, `framing`, `dress`, `forms`, `sniff`, `usages` and `limits` are pure; `wire`, `tls` and `upstream` move bytes;
`exchange` is one request and its answer, `conversation` one connection of the agent, `server` the whole.
"""
