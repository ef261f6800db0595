"""The programs: how each is told where its model is, and what its policy refuses."""

import json
from dataclasses import dataclass, field
from pathlib import Path

KEY = "fake-key"


@dataclass
class Program:
    """`call` is for programs without a preset."""

    package: str
    key: str  # the variable that holds the key
    environment: dict = field(default_factory=dict)  # {url}: the stand-in
    files: dict = field(default_factory=dict)  # below HOME
    options: dict = field(default_factory=dict)  # of the call, by scenario
    call: str = ""
    acp: list = field(default_factory=list)  # its command for the Agent Client Protocol
    acp_mode: str = ""  # the one in which it asks for permission
    acp_environment: dict = field(default_factory=dict)
    acp_files: dict = field(default_factory=dict)


CODEX_CONFIG = f'''model = "gpt-5.1-codex"
model_provider = "standin"
check_for_update_on_startup = false
analytics.enabled = false

[model_providers.standin]
name = "stand-in"
base_url = "{{url}}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
'''

CLAUDE_ALLOWED = ["Bash(sleep:*)", "Bash(true:*)", "Bash(touch begun)"]  # not mkdir

GEMINI_SETTINGS = {
    "security": {"auth": {"selectedType": "gemini-api-key"}},
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "model": {"maxSessionTurns": 8},
}
GEMINI_POLICY = '''[[rule]]
toolName = "run_shell_command"
commandPrefix = "mkdir"
decision = "deny"
priority = 900
'''

OPENCODE_CONFIG = {
    "model": "standin/model-1",
    "autoupdate": False,
    "share": "disabled",
    "permission": {"bash": {"*": "allow", "mkdir *": "deny"}},
    "provider": {"standin": {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": "{url}/v1", "apiKey": "{env:STANDIN_API_KEY}"},
        "models": {"model-1": {"name": "Model 1", "limit": {"context": 128000, "output": 8000}}}}},
}

QWEN_SETTINGS = {
    "security": {"auth": {"selectedType": "openai"}},
    "general": {"enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "permissions": {"deny": ["Bash(mkdir *)"]},
}

PROGRAMS = {
    "claude": Program(
        "@anthropic-ai/claude-code", "ANTHROPIC_API_KEY",
        {"ANTHROPIC_BASE_URL": "{url}", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
         "DISABLE_AUTOUPDATER": "1"},
        {".claude/settings.json": json.dumps({"permissions": {"allow": CLAUDE_ALLOWED}})},
        {"max_turns": " --max-turns 3", "budget": " --max-budget-usd 0.001"},
        acp=["claude-agent-acp"], acp_mode="default",
        acp_environment={"CLAUDE_CODE_EXECUTABLE": "claude"}),
    "codex": Program("@openai/codex", "OPENAI_API_KEY", {}, {".codex/config.toml": CODEX_CONFIG},
                     acp=["codex-acp"], acp_mode="read-only"),
    "gemini": Program(
        "@google/gemini-cli", "GEMINI_API_KEY",
        {"GOOGLE_GEMINI_BASE_URL": "{url}", "GEMINI_MODEL": "gemini-2.5-flash"},
        {".gemini/settings.json": json.dumps(GEMINI_SETTINGS),
         ".gemini/policies/standin.toml": GEMINI_POLICY},
        acp=["gemini", "--acp"], acp_mode="default",
        acp_files={".gemini/policies/standin.toml": ""}),
    "opencode": Program(
        "opencode-ai", "STANDIN_API_KEY",
        {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1",
         "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"},
        {".config/opencode/opencode.json": json.dumps(OPENCODE_CONFIG)},
        acp=["opencode", "acp"],
        acp_files={".config/opencode/opencode.json": json.dumps(
            {**OPENCODE_CONFIG, "permission": {"edit": "ask", "bash": "ask"}})}),
    "qwen": Program(
        "@qwen-code/qwen-code", "OPENAI_API_KEY",
        {"OPENAI_BASE_URL": "{url}/v1", "OPENAI_MODEL": "model-1"},
        {".qwen/settings.json": json.dumps(QWEN_SETTINGS)},
        {"max_turns": " --max-session-turns 3"},
        call="qwen -o stream-json --approval-mode yolo --prompt={command}",
        acp=["qwen", "--acp"], acp_mode="default",
        acp_files={".qwen/settings.json": json.dumps({**QWEN_SETTINGS, "permissions": {}})}),
}


def prepare(program, home, url, with_key, acp=False):
    """Writes the program's files below `home`; returns its variables."""
    for name, text in {**program.files, **(program.acp_files if acp else {})}.items():
        path = Path(home, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("{url}", url))
    values = {**program.environment, **(program.acp_environment if acp else {})}
    variables = {name: value.replace("{url}", url) for name, value in values.items()}
    if with_key:
        variables[program.key] = KEY
    return variables
