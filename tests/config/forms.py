"""
The forms in which the original's documentation writes configurations, page by page, in words of our own.

A form is the smallest project that has what is particular about a page, and what must come of it with the plug-ins
that are installed: what its definitions say in the end, or the fault it is refused with. Whole projects of the original
are in ``projects/``.
"""

from __future__ import annotations

from pathlib import Path

from tests.config.form import AGENT, ENDS, GITHUB, Loads, Recipe, Refused, one, routed, scaffold
from tests.config.form_pages import PAGES

_HOOK = "emits: [resource.changed, message.received]"

SCAFFOLDS: list[Loads | Refused] = [
    Loads(
        "init: github alone",
        scaffold(
            github="sources:\n  - id: github\n    connector: '@orgloop/connector-github'\n"
            '    config: {repo: "${GITHUB_REPO}", token: "${GITHUB_TOKEN}"}\n    poll: {interval: 5m}\n'
        ),
        lambda it: (it.interval_s("github"), it.project.config.routes, sorted(it.warned)),
        (300.0, (), ["OL1901", "OL1903"]),
    ),
    Loads(
        "init: linear",
        scaffold(
            linear="sources:\n  - id: linear\n    connector: '@orgloop/connector-linear'\n"
            '    config: {team: "${LINEAR_TEAM_KEY}", api_key: "${LINEAR_API_KEY}"}\n    poll: {interval: 5m}\n'
        ),
        lambda it: (it.source("linear").team, it.source("linear").api_key),
        ("ENG", "lin_0123456789"),
    ),
    Loads(
        "init: codex gets what webhook gets",
        scaffold(
            github=f"sources:\n{GITHUB}",
            openclaw=f"actors:\n{AGENT}",
            codex=f"sources:\n  - {{id: webhook, connector: webhook, config: {{path: /webhook}}, {_HOOK}}}\n",
        ),
        lambda it: ([one.id for one in it.project.config.sources], it.warned.count("OL1901")),
        (["github", "webhook"], 2),
    ),
    Loads(
        "init: webhook alone",
        scaffold(
            webhook=f"sources:\n  - {{id: webhook, connector: webhook, config: {{path: /webhook}}, {_HOOK}}}\n",
        ),
        lambda it: (it.source("webhook").path, it.project.config.actors),
        ("/webhook", ()),
    ),
    Loads(
        "init: slack and pagerduty",
        scaffold(
            slack='actors:\n  - {id: slack-notify, connector: webhook, config: {url: "${SLACK_WEBHOOK_URL}"}}\n',
            pagerduty='actors:\n  - {id: pagerduty, connector: webhook, config: {url: "${PAGERDUTY_WEBHOOK_URL}"}}\n',
        ),
        lambda it: (it.actor("slack-notify").url, it.actor("pagerduty").body_template, it.warned.count("OL1902")),
        ("https://hooks.slack.com/services/x", None, 2),
    ),
    Loads(
        "init: coding-agent and claude-code",
        scaffold(
            coding_agent="sources:\n  - id: coding-agent\n    connector: '@orgloop/connector-coding-agent'\n"
            "    config: {platform: claude-code}\n    emits: [actor.stopped]\n",
            claude_code="sources:\n  - id: claude-code\n    connector: '@orgloop/connector-claude-code'\n"
            "    config: {hook_type: post-exit}\n",
        ),
        lambda it: (it.source("coding-agent").platform, it.source("claude-code").hook_type),
        ("claude-code", "post-exit"),
    ),
    Loads(
        "add connector: a source and an actor",
        one(
            "connectors: [connectors/hook.yaml, connectors/my-api.yaml]\n",
            connectors__hook_yaml="kind: ConnectorGroup\nsources:\n"
            "  - {id: hook, connector: webhook, config: {path: /hook}, poll: {interval: 5m}}\n",
        )
        | {
            "connectors/my-api.yaml": "kind: ConnectorGroup\nactors:\n"
            '  - {id: my-api, connector: webhook, config: {url: "${MY_API_URL}"}}\n'
        },
        lambda it: (it.interval_s("hook"), it.actor("my-api").url),
        (300.0, "https://example.org/api"),
    ),
    Loads(
        "add transform: a script beside its file",
        one(
            "transforms: [transforms/x.yaml]\n",
            transforms__x_yaml="kind: TransformGroup\ntransforms:\n  - {name: x, type: script, script: ./x.sh}\n",
            transforms__x_sh="#!/bin/sh\ncat\n",
        ),
        lambda it: it.transform("x").executable == str(it.project.directory / "transforms/x.sh"),
        True,
    ),
    Refused(
        "add transform: a package without code",
        one(
            "transforms: [transforms/x.yaml]\n",
            transforms__x_yaml='kind: TransformGroup\ntransforms:\n  - {name: x, type: package, package: "./x"}\n',
        ),
        "OL1505",
        3,
        "x",
        "transforms/x.yaml",
    ),
    Loads(
        "add logger",
        one(
            "loggers: [loggers/x.yaml]\n",
            loggers__x_yaml="loggers:\n"
            "  - {name: x, type: '@orgloop/logger-file', config: {path: ~/.orgloop/logs/x.log}}\n",
        ),
        lambda it: it.logger("x").path,
        "/home/somebody/.orgloop/logs/x.log",
    ),
    Loads(
        "add route: neither transforms nor a prompt",
        one(
            ENDS,
            routes__x_yaml="kind: RouteGroup\nroutes:\n  - name: x\n    when: {source: github, events: "
            "[resource.changed]}\n    then: {actor: agent}\n",
        ),
        lambda it: (it.route("x").transforms, it.route("x").with_),
        ((), None),
    ),
]

_WHEN = "{source: github, events: [resource.changed]}"

PATTERNS: list[Loads | Refused] = [
    Loads(
        "patterns: one event, three actors",
        one(
            f"sources:\n{GITHUB}actors:\n"
            + "".join(f'  - {{id: a{n}, connector: webhook, config: {{url: "${{MY_API_URL}}"}}}}\n' for n in (1, 2, 3))
            + "transforms:\n  - {name: d, type: dedup, config: {window: 5m}}\nroutes:\n"
            + f"  - {{name: r1, when: {_WHEN}, transforms: [{{ref: d}}], then: {{actor: a1}}}}\n"
            + f"  - {{name: r2, when: {_WHEN}, transforms: [{{ref: d, config: {{key: [type], window: 1h}}}}],"
            + f" then: {{actor: a2}}}}\n  - {{name: r3, when: {_WHEN}, then: {{actor: a3}}}}\n"
        ),
        lambda it: (it.step(0, "r1").window_s, it.step(0, "r2").window_s, list(it.step(0, "r2").key)),
        (300.0, 3600.0, ["type"]),
    ),
    Loads(
        "patterns: a chain keeps its order",
        routed(
            "  - {name: bots, type: filter, config: {exclude: {provenance.author_type: bot}}}\n"
            "  - {name: dedup, type: dedup, config: {key: [source, payload.pr_number], window: 5m}}\n"
            "  - {name: team, type: filter, config: {match_any: {provenance.author: [alice, bob]}}}\n"
            "  - {name: enrich, type: enrich, config: {set: {provenance.team: checkout}}}\n",
            steps="[{ref: bots}, {ref: dedup}, {ref: team}, {ref: enrich}]",
        ),
        lambda it: [step.ref for step in it.route().transforms],
        ["bots", "dedup", "team", "enrich"],
    ),
    Loads(
        "patterns: a script in Python, with a deadline",
        one(
            "transforms:\n  - {name: t, type: script, script: ./transforms/look-up.py, timeout_ms: 10000}\n",
        )
        | {"transforms/look-up.py": "#!/usr/bin/env python3\nimport sys\nsys.stdout.write(sys.stdin.read())\n"},
        lambda it: (Path(it.transform("t").executable).name, it.transform("t").timeout_s),
        ("look-up.py", 10.0),
    ),
    Loads(
        "patterns: whoever works is looked at by a supervisor",
        one(
            f"{ENDS}routes:\n  - {{name: work, when: {_WHEN}, then: {{actor: agent}}}}\n"
            "  - {name: review, when: {source: agent, events: [actor.stopped]}, then: {actor: agent}}\n"
        ),
        lambda it: (it.route("review").when.source, it.warned),
        ("agent", []),
    ),
    Loads(
        "patterns: another prompt for each kind of event",
        one(
            f"{ENDS}routes:\n"
            + "".join(
                f"  - name: {kind}\n    when: {{source: github, events: [resource.changed],"
                f" filter: {{provenance.platform_event: {event}}}}}\n    then: {{actor: agent}}\n"
                f"    with: {{prompt_file: sops/{kind}.md}}\n"
                for kind, event in (("merged", "pull_request.merged"), ("broken", "workflow_run.completed"))
            ),
            sops__merged_md="It is merged.\n",
            sops__broken_md="It is broken.\n",
        ),
        lambda it: [(w := it.route(name).with_) and w.prompt and w.prompt.text for name in ("merged", "broken")],
        ["It is merged.\n", "It is broken.\n"],
    ),
]

FORMS = [*SCAFFOLDS, *PAGES, *PATTERNS]

RECIPES = [
    Recipe(
        "labels by jq, over several lines",
        'jq: >\n        .provenance.labels\n        | any(. == "bug")\n',
        ({"provenance": {"labels": ["ui", "bug"]}},),
        ({"provenance": {"labels": ["ui"]}}, {}),
    ),
    Recipe(
        "not that, by jq",
        "jq: .payload.draft | not\n",
        ({"payload": {"draft": False}}, {}),
        ({"payload": {"draft": True}},),
    ),
    Recipe(
        "any of a text with commas",
        'match_any: {provenance.pr_author: "alice,bob"}\n',
        ({"provenance": {"pr_author": "bob"}},),
        ({"provenance": {"pr_author": "alice,bob"}}, {}),
    ),
    Recipe(
        "any of a variable",
        'match_any: {provenance.pr_author: "${REVIEWERS}"}\n',
        ({"provenance": {"pr_author": "alice"}},),
        ({"provenance": {"pr_author": "carol"}},),
    ),
    Recipe(
        "no bots, by a variable with brackets",
        'exclude: {provenance.author: "${BOTS}"}\n',
        ({"provenance": {"author": "b"}}, {}),
        ({"provenance": {"author": "renovate[bot]"}}, {"provenance": {"author": "dependabot[bot]"}}),
    ),
    Recipe(
        "numbers, switches and nothing",
        "match: {payload.count: 3, payload.ok: true, payload.error: null}\n",
        ({"payload": {"count": 3, "ok": True}}, {"payload": {"count": 3, "ok": True, "error": None}}),
        ({"payload": {"count": "3", "ok": True}}, {"payload": {"count": 3, "ok": True, "error": "x"}}),
    ),
    Recipe(
        "a path by a regular expression",
        "match: {payload.cwd: '/^\\/Users\\/alice\\/work\\//'}\n",
        ({"payload": {"cwd": "/Users/alice/work/app"}},),
        ({"payload": {"cwd": "/Users/bob/work/app"}}, {}),
    ),
    Recipe(
        "a title by a regular expression with a flag",
        "match: {payload.title: '/fix|bug/i'}\n",
        ({"payload": {"title": "FIX it"}}, {"payload": {"title": "a Bug"}}),
        ({"payload": {"title": "a feature"}},),
    ),
]
"""From the guides on patterns and on the filter."""
