"""The words that categories, complexity and thinking are known by: a table to be read and argued about.

A rule is phrases between ` | `, each a small regular expression, found as whole words in any case. Phrases with `...`
have up to sixty characters in the place of the dots.
"""

from __future__ import annotations

import re

LOOK = r"(?:audit\w*|scan\w*|find|look for|search for|check|detect\w*|identify|assess|review|analy[sz]e)"
MEND = r"(?:fix\w*|patch\w*|clos(?:e|ing)|repair\w*|resolv(?:e|ing)|remov(?:e|ing)|prevent\w*|mitigat\w+)"
DANGER = (
    r"(?:vulnerab\w+|security|cves?(?:-[\d-]+)?|xss|csrf|ssrf|(?:sql|command|shell|code) injections?|path traversal"
    r"|leaked? (?:keys?|secrets?|passwords?))"
)
FAULTS = r"(?:lint\w*|type errors?|compil\w+|syntax|warnings?|typos?|mypy|eslint|ruff|(?:build|import) errors?)"
NEW_WORLD = r"(?:python ?3|typescript|es6|react|vue|java ?\d+|\.net)"

CATEGORY_WORDS: tuple[tuple[str, str], ...] = (
    ("security-vulnerability-detection", rf"{LOOK}...{DANGER} | threat model\w* | penetration tests?"),
    ("security-fixes", rf"{MEND}...{DANGER} | saniti[sz]e | escape | harden\w*"),
    ("test-coverage-analysis", "coverage | untested"),
    ("error-correction", rf"(?:fix|correct|resolve|clean up|silence)...{FAULTS} | typos?"),
    (
        "ci-cd-integration",
        r"ci/cd | ci | github actions? | gitlab | jenkins | circleci | (?:cd|deploy\w*|release|build) pipelines?",
    ),
    (
        "legacy-modernization",
        (
            r"legacy | moderni[sz]\w+ | python ?2 | deprecated"
            rf" | (?:migrat\w+|port|convert|upgrade)...(?:from|to) {NEW_WORLD}"
        ),
    ),
    (
        "dependency-management",
        (
            r"dependenc(?:y|ies) | lock ?files? | package\.json | requirements\.txt"
            r" | (?:bump|upgrade|update|pin|install)...(?:packages?|librar(?:y|ies)|versions?|to v?\d[\d.]*)"
        ),
    ),
    ("code-review", r"(?:code )?review\w* | give feedback | critique"),
    (
        "performance-optimization",
        (
            r"optimi[sz]\w+ | performance | faster | speed(?:ing)? up | slow\w* | latency | throughput"
            r" | profil(?:e|ing)"
            r" | memory (?:use|usage|leaks?)"
        ),
    ),
    (
        "debugging-complex-issues",
        (
            r"debug\w* | root cause | race conditions? | deadlocks? | flaky | intermittent\w* | segfaults?"
            r" | investigate"
            r" | diagnose | (?:find|figure) out why"
        ),
    ),
    (
        "bug-detection-fixes",
        (
            r"bugs? | bugfix\w* | hotfix | broken | crash\w* | regressions? | fix(?:es|ing)? | repair | wrong(?:ly)?"
            r" | does(?:n't| not) work | stopped working"
        ),
    ),
    ("unit-test-generation", r"(?:unit |integration |regression |e2e )?tests?"),
    (
        "documentation-generation",
        r"document(?:s|ation|ing)? | docs? | readme | docstrings? | changelog | tutorial | user guide | man ?pages?",
    ),
    (
        "multi-file-refactoring",
        (
            r"refactor\w* | restructur\w+ | rename | extract | split (?:up|the) | de-?duplicate | clean ?up | tidy"
            r" | move \S+ (?:in)?to"
        ),
    ),
    (
        "codebase-exploration",
        (
            r"explain | explore | understand | where (?:is|are|does|do) | how does | what does"
            r" | find (?:all|where|every)"
            r" | list all | map out | summari[sz]e | trace through"
        ),
    ),
    (
        "boilerplate-generation",
        r"boilerplate | scaffold\w* | skeleton | starter | bootstrap (?:a|the|an) | hello,? world | new project",
    ),
    (
        "configuration-management",
        (
            r"config(?:ure|uration|s)? | settings? file | environment variables? | env vars? | yaml | toml | dockerfile"
            r" | docker-compose | kubernetes | helm | terraform | ansible | nginx"
        ),
    ),
    (
        "database-operations",
        (
            r"databases? | sql | schemas? | migrations? | (?:postgres|mysql|sqlite|mongo|redis)\w*"
            r" | quer(?:y|ies) | orm"
            r" | foreign keys? | stored procedures? | db"
        ),
    ),
    (
        "api-development",
        (
            r"apis? | rest(?:ful)? | graphql | grpc | endpoints? | webhooks? | openapi | swagger | rate limit\w*"
            r" | http routes?"
        ),
    ),
    (
        "frontend-development",
        (
            r"front-?end | ui | ux | css | html | react | vue | svelte | angular | components? | buttons? | pages?"
            r" | dark mode | responsive | layout | modals? | navbar | sidebar | landing | forms? | stylesheets?"
        ),
    ),
    (
        "algorithm-implementation",
        (
            r"algorithms? | sort(?:ing|ed)? | shortest path | dijkstra | dynamic programming | binary search | hashing"
            r" | graph search | parsers? | fibonacci | primes? | compress\w* | heuristics? | trie | b-?tree"
        ),
    ),
    (
        "backend-development",
        (
            r"back-?end | servers? | services? | middleware | auth\w* | log-?in | sessions? | queues? | workers? | cron"
            r" | background jobs? | websockets? | micro-?services? | cach(?:e|ing)"
        ),
    ),
    (
        "code-generation-new-features",
        "add | build | create | implement | write | make | support | introduce | develop | generate",
    ),
)
"""The first one that fits is it, so the narrow ones stand first and what any request says stands last."""

COMPLEXITY_WORDS: tuple[tuple[int, str], ...] = (
    (
        5,
        (
            r"distributed | consensus | novel | from scratch | fault[- ]tolerant | compiler | operating system"
            r" | large[- ]scale | entire system | re-?architect\w* | machine learning"
        ),
    ),
    (1, r"trivial\w* | typos? | one[- ]line\w* | hello,? world | rename a | bump | single line | comment out | tiny"),
    (
        4,
        (
            r"complex | complicated | several | multiple (?:services?|integrations?|systems?)"
            r" | concurren\w+ | real[- ]time"
            r" | race conditions? | deadlocks? | across (?:the|all|every) | payments? | state machine | thread[- ]safe"
            r" | whole (?:code ?base|project|system) | integrations? with"
        ),
    ),
    (2, r"simple | small | basic | quick(?:ly)? | minor | straightforward | easy | short"),
    (3, r"moderate\w* | validation | authentication | dashboard | paginat\w+ | crud"),
)
"""The first one that fits."""

MUCH_THINKING = (
    r"ultra-?think | think (?:very |really |extra )?(?:hard(?:er)?|deep(?:ly)?|carefully) | step by step"
    r" | reason (?:carefully|deeply) | take your time"
)
LITTLE_THINKING = r"quick(?:ly)? | do(?:n't| not) (?:over)?think | no need to think | without thinking | just do it"


def rule(words: str) -> re.Pattern[str]:
    """For texts in small letters: to ignore the case takes twice the time."""
    phrases = "|".join(phrase.strip().replace("...", r"\b.{0,60}\b") for phrase in words.split(" | "))
    return re.compile(rf"\b(?:{phrases})(?!\w)")
