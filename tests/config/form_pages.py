"""The forms of the original's pages and READMEs, one by one: the part of the table that is long."""

from __future__ import annotations

from pathlib import Path

from tests.config.form import AGENT, ENDS, GITHUB, Loads, Refused, one, pushed, routed

PAGES: list[Loads | Refused] = [
    Refused(
        "home: a source that says nothing of itself",
        one("sources:\n  - id: github\n    connector: '@orgloop/connector-github'\n"),
        "OL1202",
        5,
        "required",
        faults=2,  # its repository, and its token
    ),
    Loads(
        "home: github without events, and a linear source",
        one(
            f"sources:\n{GITHUB}"
            '  - {id: linear, connector: linear, config: {team: ENG, api_key: "${LINEAR_API_KEY}"}}\n'
            f"actors:\n{AGENT}routes:\n  - name: ticket moved -> agent\n"
            "    when: {source: linear, events: [resource.changed]}\n    then: {actor: agent}\n"
        ),
        lambda it: (it.source("github").events, it.route("ticket moved -> agent").when.source),
        ((), "linear"),
    ),
    Loads(
        "five primitives: dedup by its window alone",
        routed("  - {name: t, type: package, package: '@orgloop/transform-dedup', config: {window: 10m}}\n"),
        lambda it: (it.step().window_s, list(it.step().key)),
        (600.0, ["source", "type", "id"]),
    ),
    Loads(
        "config schema: keys of a route to OpenClaw",
        routed(
            "  - {name: t, type: filter}\n",
            then="{actor: agent, config: {session_key: 'o:{{payload.pr_number}}', wake_mode: next, deliver: false,"
            " channel: slack, to: C01, thread_id: 'pr-{{payload.pr_number}}', model: m, thinking: low,"
            " timeout_seconds: 90}}",
        ),
        lambda it: (it.route().then.config["thread_id"], it.route().then.config["timeout_seconds"]),
        ("pr-{{payload.pr_number}}", 90),
    ),
    Loads(
        "config schema: an actor that signs",
        one('actors:\n  - {id: a, connector: webhook, config: {url: "${MY_API_URL}", secret: "${HOOK_SECRET}"}}\n'),
        lambda it: it.actor("a").secret,
        "shared-by-both-sides",
    ),
    Loads(
        "config schema: checkpoints in memory, a script of the project",
        one(
            "defaults: {checkpoint: {store: memory}}\ntransforms: [transforms/all.yaml]\n",
            transforms__all_yaml="transforms:\n  - {name: own, type: script, script: ./custom-filter.sh}\n",
        )
        | {"custom-filter.sh": "#!/bin/sh\ncat\n"},
        lambda it: (it.project.config.defaults.checkpoint.store, Path(it.transform("own").executable).name),
        ("memory", "custom-filter.sh"),
    ),
    Loads(
        "modules: a filter by its package, and a regular expression",
        routed(
            "  - {name: t, type: '@orgloop/transform-filter', config: {exclude: {provenance.author: '/\\[bot\\]$/'}}}\n"
        ),
        lambda it: it.step().exclude,
        {"provenance.author": r"/\[bot\]$/"},
    ),
    Loads(
        "modules: key_fields of a dedup",
        routed("  - {name: t, type: '@orgloop/transform-dedup', config: {key_fields: [source, type], window: 5m}}\n"),
        lambda it: list(it.step().key),
        ["source", "type"],
    ),
    Loads(
        "modules: OpenClaw by its old names",
        one(
            "actors:\n  - id: a\n    connector: '@orgloop/connector-openclaw'\n    config:\n      agent: reviewer\n"
            "      webhook_url: http://127.0.0.1:18789/hooks/agent\n"
            '      token: "${OPENCLAW_WEBHOOK_TOKEN}"\n'
        ),
        lambda it: (it.actor("a").agent_id, it.actor("a").url("/agent"), it.actor("a").auth_token_env),
        ("reviewer", "http://127.0.0.1:18789/hooks/agent", "claw-0123456789"),
    ),
    Loads(
        "modules: a file logger that says rotate",
        one(
            "loggers:\n  - {name: l, type: '@orgloop/logger-file', config: {rotate: {max_size: 10mb, max_files: 5}}}\n"
        ),
        lambda it: (it.logger("l").rotation.max_size_bytes, it.logger("l").rotation.max_files),
        (10 * 2**20, 5),
    ),
    Loads(
        "scale design: delivery of a route",
        routed(
            "  - {name: t, type: filter}\n",
            then="{actor: agent, delivery: {max_rate: 100/s, queue_depth: 5000, retry: {max_attempts: 3,"
            " backoff: exponential, initial_delay: 1s, max_delay: 60s},"
            " circuit_breaker: {failure_threshold: 5, cooldown: 30s}}}",
        ),
        lambda it: it.route().then.delivery["queue_depth"],
        5000,
    ),
    Loads(
        "transforms: on_error at both levels, and options at the place",
        routed(
            "  - {name: t, type: package, package: '@orgloop/transform-dedup', config: {window: 5m}, on_error: halt}\n",
            steps="[{ref: t, on_error: drop, config: {window: 1m}}]",
        ),
        lambda it: (it.project.config.transforms[0].on_error, it.route().transforms[0].on_error, it.step().window_s),
        ("halt", "drop", 60.0),
    ),
    Loads(
        "transforms: the proposed ones",
        routed(
            "  - {name: s, type: '@orgloop/transform-injection-scanner', config: {action: tag}}\n"
            "  - {name: c, type: sanitizer, config: {redact: [password], strip_html: true, max_payload_size: 1KB}}\n"
            "  - {name: l, type: rate-limit, config: {max: 10, window: 1m, key: [provenance.author], action: drop}}\n"
            "  - {name: n, type: timestamp, config: {normalize_to: UTC, add_fields: [date, hour]}}\n"
            "  - {name: m, type: metadata, config: {add: {team: checkout}}}\n",
            steps="[s, c, l, n, m]",
        ),
        lambda it: (it.step(0).action, it.step(1).max_payload_size_bytes, it.step(2).window_s, it.step(4).add),
        ("tag", 1024, 60.0, {"team": "checkout"}),
    ),
    Loads(
        "lifecycle contract: one filter, with other options in each route",
        routed(
            "  - {name: t, type: package, package: '@orgloop/transform-filter'}\n",
            steps="[{ref: t, config: {match: {payload.lifecycle.phase: stopped, payload.lifecycle.terminal: true}}}]",
        ),
        lambda it: it.step().match,
        {"payload.lifecycle.phase": "stopped", "payload.lifecycle.terminal": True},
    ),
    Refused(
        "loggers: a filter of phases",
        one("loggers:\n  - name: l\n    type: '@orgloop/logger-file'\n    config:\n      filter: {min_phase: x}\n"),
        "OL1203",
        8,
        "unknown key; known are: path, format, rotation, buffer",
    ),
    Loads(
        "loggers: otlp, and what it exports",
        one(
            "loggers:\n  - name: l\n    type: '@orgloop/logger-otlp'\n    config:\n"
            "      endpoint: http://localhost:4318/v1/logs\n      export: {traces: true, logs: true}\n"
        ),
        lambda it: it.logger("l").export.traces,
        True,
    ),
    Loads(
        "loggers: syslog that says protocol",
        one(
            "loggers:\n  - {name: l, type: '@orgloop/logger-syslog', config: {protocol: tcp, tls: true, "
            "format: rfc5424}}\n"
        ),
        lambda it: (it.logger("l").transport, it.logger("l").port_number),
        ("tcp", 6514),
    ),
    Refused(
        "loggers: syslog of the old format",
        one("loggers:\n  - name: l\n    type: '@orgloop/logger-syslog'\n    config:\n      format: rfc3164\n"),
        "OL1208",
        8,
        "rfc5424",
    ),
    Refused(
        "loggers: the one that posts",
        one("loggers:\n  - name: l\n    type: '@orgloop/logger-webhook'\n    config: {url: 'https://example.org/'}\n"),
        "OL1501",
        6,
        "logger-webhook",
    ),
    Loads(
        "project setup: routes that are named, and prompts from there",
        one(
            f"{ENDS}routes: [routes/r.yaml]\n",
            routes__r_yaml="kind: RouteGroup\nroutes:\n  - name: r\n    when: {source: github, events: "
            "[resource.changed]}\n    then: {actor: agent}\n    with: {prompt_file: ../sops/r.md}\n",
            sops__r_md="Look.\n",
        ),
        lambda it: (p := it.route().with_) and p.prompt and p.prompt.text,
        "Look.\n",
    ),
    Loads(
        "transform authoring: a script from the project's folder, in a group",
        one(
            "transforms: [transforms/all.yaml]\n",
            transforms__all_yaml="transforms:\n"
            "  - {name: x, type: script, script: ./transforms/x.sh, timeout_ms: 500}\n",
            transforms__x_sh="#!/bin/sh\ncat\n",
        ),
        lambda it: (Path(it.transform("x").executable).name, it.transform("x").timeout_s),
        ("x.sh", 0.5),
    ),
    Loads(
        "transform authoring: what is added",
        routed("  - {name: t, type: '@orgloop/transform-enrich', config: {add: {payload.seen_at: '{{ now }}'}}}\n"),
        lambda it: it.step().add,
        {"payload.seen_at": "{{ now }}"},
    ),
    Loads(
        "security: an interval among the options, and what is held",
        one(
            "defaults: {audit: {hold_on: critical, allowed_domains: [github.com], max_chain_depth: 2}}\n"
            "sources:\n  - id: s\n    connector: '@orgloop/connector-github'\n"
            '    config: {repo: a/b, token: "${GITHUB_TOKEN}", poll_interval: 2m}\n'
        ),
        lambda it: (it.interval_s("s"), (a := it.project.config.defaults.audit) and a.hold_on),
        (120.0, "critical"),
    ),
    Refused(
        "beyond engineering: connectors that are planned",
        one("sources:\n  - id: s\n    connector: '@orgloop/connector-zendesk'\n    poll: { interval: 2m }\n"),
        "OL1501",
        6,
        "connector-zendesk",
    ),
    Loads(
        "beyond engineering: one schedule",
        one("sources:\n  - {id: c, connector: '@orgloop/connector-cron', config: {schedule: '0 9 * * 1'}}\n"),
        lambda it: [(each.name, each.cron) for each in it.source("c").all()],
        [("default", "0 9 * * 1")],
    ),
    Loads(
        "org to org: both sides sign, and the log is beside the project",
        one(
            "sources:\n  - id: partner\n    connector: webhook\n"
            '    config: {path: /partner, hmac_secret: "${HOOK_SECRET}"}\n'
            "actors:\n  - id: outbound\n    connector: webhook\n"
            '    config: {url: "${MY_API_URL}", hmac_secret: "${HOOK_SECRET}"}\n'
            "loggers:\n  - {name: l, type: file, config: {path: ./logs/org.log}}\n"
            "routes:\n  - name: answer\n    when: {source: outbound, events: [actor.stopped]}\n"
            "    then: {actor: outbound}\n"
        ),
        lambda it: (
            it.source("partner").secret == it.actor("outbound").secret,
            it.logger("l").path == str(it.project.directory / "logs/org.log"),
            it.route("answer").when.source,
        ),
        (True, True, "outbound"),
    ),
    *(
        Loads(
            f"{connector}: pushed to, polled and buffered",
            pushed(connector),
            lambda it: (it.source("it").buffer_dir, it.interval_s("it")),
            ("./buffer", 30.0),
        )
        for connector in (
            "claude-code",
            "coding-agent",
            "codex",
            "opencode",
            "pi",
            "pi-rust",
            "linear-webhook",
            "webhook",
        )
    ),
    Loads(
        "github-webhook: a webhook and a poll of one repository",
        one(
            "sources:\n  - id: hook\n    connector: '@orgloop/connector-github-webhook'\n"
            '    config: {secret: "${HOOK_SECRET}", path: /github, events: [pull_request.merged], buffer_dir: ./b,'
            " max_buffer_size: 50MB, reconciliation_interval_ms: 0, issue_comment_edit_debounce_ms: 120000}\n"
            f"    poll: {{interval: 30s}}\n{GITHUB}"
        ),
        lambda it: ([one.id for one in it.project.config.sources], it.source("hook").max_buffer_size),
        (["hook", "github"], 50 * 2**20),
    ),
    Loads(
        "github: authors",
        one('sources:\n  - {id: s, connector: github, config: {repo: a/b, token: "${GITHUB_TOKEN}", authors: [me]}}\n'),
        lambda it: list(it.source("s").authors),
        ["me"],
    ),
    Loads(
        "linear: a project, and a folder for its cache",
        one(
            "sources:\n  - id: s\n    connector: linear\n"
            '    config: {team: ENG, project: Checkout, cache_dir: ./cache, api_key: "${LINEAR_API_KEY}"}\n'
        ),
        lambda it: it.source("s").project,
        "Checkout",
    ),
    Loads(
        "cron: two schedules, and a route for one of them",
        one(
            "sources:\n  - id: cron\n    connector: '@orgloop/connector-cron'\n    config:\n      schedules:\n"
            "        - {name: standup, cron: '0 9 * * 1-5', payload: {room: blue}}\n"
            f"        - {{name: tick, cron: every 30m}}\nactors:\n{AGENT}routes:\n  - name: r\n"
            "    when: {source: cron, events: [resource.changed], filter: {payload.schedule: standup}}\n"
            "    then: {actor: agent}\n    with: {prompt_file: sops/x.md}\n",
            sops__x_md="Ask.\n",
        ),
        lambda it: ([each.name for each in it.source("cron").all()], it.route().when.filter),
        (["standup", "tick"], {"payload.schedule": "standup"}),
    ),
    Loads(
        "openclaw: a lane",
        one("actors:\n  - {id: a, connector: openclaw, config: {agent_id: x, lane: background}}\n"),
        lambda it: it.actor("a").lane,
        "background",
    ),
    Loads(
        "webhook: a body and credentials",
        one(
            'actors:\n  - id: a\n    connector: webhook\n    config:\n      url: "${MY_API_URL}"\n      method: PUT\n'
            '      auth: {type: bearer, token: "${HOOK_SECRET}"}\n'
            '      body_template: {text: "{{ event.payload.title }}", sop: "{{ launch_prompt }}"}\n'
        ),
        lambda it: (it.actor("a").auth.type, sorted(it.actor("a").body_template)),
        ("bearer", ["sop", "text"]),
    ),
    Refused(
        "webhook: a body as text",
        one(
            'actors:\n  - id: a\n    connector: webhook\n    config:\n      url: "${MY_API_URL}"\n'
            '      body_template: \'{"text": "{{ event.payload.title }}"}\'\n'
        ),
        "OL1201",
        9,
        "must be a mapping",
    ),
    Loads(
        "filter: both sides, with quoted dotted keys",
        routed(
            "  - {name: t, type: filter, config: {match: {'payload.state': open},"
            " exclude: {'provenance.author_type': bot}}}\n"
        ),
        lambda it: (it.step().match, it.step().exclude),
        ({"payload.state": "open"}, {"provenance.author_type": "bot"}),
    ),
    Loads(
        "enrich: set, copy and compute",
        routed(
            "  - name: t\n    type: '@orgloop/transform-enrich'\n    config:\n"
            "      set: {provenance.team: checkout}\n      copy: {payload.metadata.pr: payload.pr_number}\n"
            "      compute: {payload.is_open: 'payload.state === \"open\"', payload.big: payload.files > 10}\n"
        ),
        lambda it: (dict(it.step().copy), sorted(it.step().compute)),
        ({"payload.metadata.pr": "payload.pr_number"}, ["payload.big", "payload.is_open"]),
    ),
    Refused(
        "enrich: keys of the event beside those that it has",
        routed(
            "  - name: t\n    type: '@orgloop/transform-enrich'\n    config:\n      compute: {metadata.big: "
            "payload.files > 10}\n"
        ),
        "OL1503",
        12,
        "write 'payload.big'",
    ),
    Loads(
        "otel: headers from the environment",
        one(
            "loggers:\n  - name: l\n    type: '@orgloop/logger-otel'\n    config:\n"
            '      headers: {x-key: "${OTLP_KEY}"}\n      protocol: http/protobuf\n      service_name: org\n'
            "      resource_attributes: {env: prod}\n      batch: {max_queue_size: 100, scheduled_delay_ms: 1000,"
            " max_export_batch_size: 50}\n"
        ),
        lambda it: (it.logger("l").headers, it.logger("l").batch.scheduled_delay_s),
        ({"x-key": "otlp-0123456789"}, 1.0),
    ),
    Loads(
        "syslog: every key",
        one(
            "loggers:\n  - {name: l, type: '@orgloop/logger-syslog', config: {transport: udp, host: 127.0.0.1,"
            " port: 514, path: /dev/log, facility: local3, app_name: org, include_structured_data: false}}\n"
        ),
        lambda it: (it.logger("l").facility, it.logger("l").include_structured_data),
        ("local3", False),
    ),
    Loads(
        "historic module: a list in a filter of a template",
        one(
            f"{ENDS}modules:\n  - {{package: ./modules/minimal, params: {{source: github, actor: agent}}}}\n",
        )
        | {
            "modules/minimal/orgloop-module.yaml": "apiVersion: orgloop/v1alpha1\nkind: Module\n"
            "metadata: {name: minimal, description: One route, version: 1.0.0}\nparameters:\n"
            "  - {name: source, description: From, type: string, default: webhook}\n"
            "  - {name: actor, description: To, type: string, default: responder}\nprovides: {routes: 1}\n",
            "modules/minimal/templates/routes.yaml": 'routes:\n  - name: "{{ module.name }}-all"\n    when:\n'
            '      source: "{{ params.source }}"\n      events: [resource.changed]\n'
            '      filter: {payload.action: [opened, closed]}\n    then: {actor: "{{ params.actor }}"}\n',
        },
        lambda it: (it.route("minimal-all").when.source, list(it.route("minimal-all").when.filter["payload.action"])),
        ("github", ["opened", "closed"]),
    ),
]
