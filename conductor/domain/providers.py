"""Model providers known by name, and which of them each kind of agent uses unless the settings say otherwise."""

from __future__ import annotations

from conductor.domain.agent_setup import ProviderSetup

KNOWN_PROVIDERS = {
    one.name: one
    for one in (
        ProviderSetup("anthropic", "anthropic", "https://api.anthropic.com", "env:ANTHROPIC_API_KEY"),
        ProviderSetup("openai", "openai", "https://api.openai.com", "env:OPENAI_API_KEY"),
        ProviderSetup("gemini", "gemini", "https://generativelanguage.googleapis.com", "env:GEMINI_API_KEY"),
        ProviderSetup("openrouter", "openai", "https://openrouter.ai/api", "env:OPENROUTER_API_KEY"),
        ProviderSetup("perplexity", "openai", "https://api.perplexity.ai", "env:PERPLEXITY_API_KEY"),
        ProviderSetup("ollama", "openai", "http://127.0.0.1:11434"),
        ProviderSetup("vllm", "openai", "http://127.0.0.1:8000"),
    )
}

DEFAULT_PROVIDER = {
    "claude": "anthropic",
    "codex": "openai",
    "gemini": "gemini",
    "opencode": "anthropic",
    "openclaw": "anthropic",
    "anthropic": "anthropic",
    "chat": "openai",
}
"""By kind; a kind that is not here uses no provider of ours."""
